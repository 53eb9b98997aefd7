"""`cri-shim smoke` where there is no endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.smoke.catalog import CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result


def test_an_endpoint_that_is_not_there_is_wrong_use(run: Callable[..., Result], tmp_path: Path) -> None:
    for more in ([], ["--sweep"]):
        result = run("smoke", "--endpoint", f"unix://{tmp_path}/cri.sock", *more)
        assert result.exit_code == 2
        assert "is a CRI runtime listening there?" in result.output


def test_a_misspelt_check_is_wrong_use(run: Callable[..., Result]) -> None:
    result = run("smoke", "--only", "pods", "--skip", "pod.*")
    assert (result.exit_code, "no check matches pod.*; --list shows them all" in result.output) == (2, True)


def test_the_list_is_of_the_chosen_ones(run: Callable[..., Result]) -> None:
    assert len(run("smoke", "--list").output.splitlines()) == len(CHECKS)
    listed = run("smoke", "--list", "--only", "events").output.splitlines()
    assert [line.split()[0] for line in listed] == [check.id for check in CHECKS if check.capability == "events"]
