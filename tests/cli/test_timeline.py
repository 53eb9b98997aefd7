"""`cri-shim timeline` finds the pod that is meant and draws its start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from anyio import to_thread

from tests.cli.fake_cri import Served, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.anyio


async def told(run: Callable[..., Result], tmp_path: Path, *words: str, timelines: bool = True) -> Result:
    async with serving(Served(tmp_path / "log", timelines=timelines), tmp_path / "cri.sock") as endpoint:
        return await to_thread.run_sync(lambda: run("timeline", *words, "--endpoint", endpoint))


@pytest.mark.parametrize("words", [(), ("hello",), ("default/hello",), ("pod1",)])
async def test_a_pod_is_found_by_name_and_id_and_the_newest_without(
    run: Callable[..., Result], tmp_path: Path, words: tuple[str, ...]
) -> None:
    result = await told(run, tmp_path, *words)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("default/hello  pod1\n")
    for text in ("RunPodSandbox", "CNI ADD", "CreateContainer", "snapshot"):
        assert text in result.output


async def test_a_pod_that_is_not_there_is_named(run: Callable[..., Result], tmp_path: Path) -> None:
    result = await told(run, tmp_path, "nobody")
    assert result.exit_code == 1
    assert "no pod is called 'nobody'" in result.stderr


async def test_the_pull_of_an_image_is_drawn_and_one_that_is_not_there_is_named(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    result = await told(run, tmp_path, "--image", "busybox")
    assert result.output.startswith("busybox  sha256:1234\n")
    for text in ("PullImage", "fetch", "layer 1234abcd"):
        assert text in result.output
    result = await told(run, tmp_path, "--image", "nothing")
    assert result.exit_code == 1
    assert "no image is called 'nothing'" in result.stderr


async def test_another_runtime_records_none(run: Callable[..., Result], tmp_path: Path) -> None:
    assert "this endpoint records none" in (await told(run, tmp_path, timelines=False)).output


async def test_an_endpoint_that_is_not_there_is_named(run: Callable[..., Result], tmp_path: Path) -> None:
    result = await to_thread.run_sync(lambda: run("timeline", "--endpoint", f"unix://{tmp_path}/none.sock"))
    assert result.exit_code == 1
    assert "none.sock" in result.stderr
