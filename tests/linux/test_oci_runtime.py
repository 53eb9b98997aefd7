"""The command line of an OCI runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cri_shim.errors import FailedPrecondition
from cri_shim.linux.oci_runtime import OciRuntime

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def runtime(tmp_path: Path) -> OciRuntime:
    """A program that notes how it is called, and fails on the container `stuck`."""
    program = tmp_path / "runtime"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\ncase "$*" in *stuck) echo why >&2; exit 3;; esac\n')
    program.chmod(0o755)
    (tmp_path / "root" / "known").mkdir(parents=True)
    return OciRuntime(str(program), str(tmp_path / "root"))


async def test_a_container_is_deleted_by_force_in_the_handlers_directory(runtime: OciRuntime, tmp_path: Path) -> None:
    await runtime.delete("known")
    await OciRuntime(runtime.binary, runtime.root, systemd_cgroup=True).delete("other")
    root = f"--root {tmp_path}/root"
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"{root} delete --force known",
        f"{root} --systemd-cgroup delete --force other",
    ]


async def test_what_it_says_of_a_failure_is_told(runtime: OciRuntime) -> None:
    with pytest.raises(FailedPrecondition, match="delete --force stuck ended with 3: why"):
        await runtime.delete("stuck")
    with pytest.raises(FailedPrecondition, match="there is no runtime '/no/such'"):
        await OciRuntime("/no/such", runtime.root).delete("known")


async def test_only_a_container_that_it_has_kept_something_of_is_known(runtime: OciRuntime) -> None:
    assert runtime.knows("known")
    assert not runtime.knows("unknown")
