"""The server's end: the calls under way are answered first, however the end came."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.cli.cri_client import connect
from cri_shim.config import default
from cri_shim.server.serve import Server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


class Slow(cri.RuntimeServiceBase):
    """Answers when it is let."""

    def __init__(self) -> None:
        self.called, self.let = anyio.Event(), anyio.Event()

    async def version(self, message: cri.VersionRequest) -> cri.VersionResponse:  # noqa: ARG002  (the CRI's signature)
        self.called.set()
        await self.let.wait()
        return cri.VersionResponse(runtime_name="slow")


async def test_a_call_under_way_is_answered_when_the_server_is_cancelled(tmp_path: Path) -> None:
    settings = replace(default(), shim=replace(default().shim, address=str(tmp_path / "cri.sock")))
    service, serving, answers = Slow(), anyio.CancelScope(), list[str]()

    async def serve(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        with serving:
            async with Server(settings, [service]) as server:
                server.ready()
                task_status.started()
                await anyio.sleep_forever()
        answers.append("server ended")

    async def call() -> None:
        async with connect(f"unix://{settings.shim.address}") as client:
            answers.append((await client.runtime.version(cri.VersionRequest())).runtime_name)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await tasks.start(serve)
            tasks.start_soon(call)
            await service.called.wait()
            serving.cancel()
            await anyio.wait_all_tasks_blocked()
            service.let.set()
    assert answers == ["slow", "server ended"]
