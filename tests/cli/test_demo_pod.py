"""The demo shows a pod whole, and removes it whatever happens; its client speaks our errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.cli import demo_pod
from cri_shim.cli.cri_client import connect
from cri_shim.errors import DeadlineExceeded, Unavailable, Unimplemented
from tests.cli.fake_cri import LOG, Served, serving

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def shown(served: Served, tmp_path: Path) -> None:
    async with serving(served, tmp_path / "cri.sock") as endpoint:
        await demo_pod.show(endpoint, lambda _path: served.log, "pause:1")


async def test_it_shows_address_log_output_and_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await shown(Served(tmp_path / "log"), tmp_path)
    said = capsys.readouterr().out
    assert "CRI v1: fake 1.2.3" in said
    assert "10.1.2.3" in said
    assert all(line in said for line in LOG.splitlines())
    assert "127.0.0.1/8" in said
    assert said.index("CNI ADD") < said.index("CreateContainer") < said.index("snapshot")


async def test_the_pod_goes_even_when_something_fails(tmp_path: Path) -> None:
    served = Served(tmp_path / "log", exec_fails=True)
    with pytest.raises(Unimplemented):
        await shown(served, tmp_path)
    assert served.calls == ["run", "stop", "remove"]


async def test_an_endpoint_without_timelines_is_shown_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await shown(Served(tmp_path / "log", timelines=False), tmp_path)
    assert "records none" in capsys.readouterr().out


async def test_a_log_that_does_not_come_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_pod, "_LOG_PATIENCE", 0.02)
    async with serving(Served(tmp_path / "log"), tmp_path / "cri.sock") as endpoint:
        with pytest.raises(DeadlineExceeded, match="elsewhere"):
            await demo_pod.show(endpoint, lambda _path: tmp_path / "elsewhere", "pause:1")


async def test_an_endpoint_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"none\.sock"):
        async with connect(f"unix://{tmp_path}/none.sock") as client:
            await client.runtime.version(cri.VersionRequest())
