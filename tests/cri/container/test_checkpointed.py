"""A container's status in memory and on disk, changed from several sides at once."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import anyio
import pytest
from anyio import to_thread

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.container.checkpointed import checkpointed
from cri_shim.oci.spec import Process
from cri_shim.state import checkpoint
from cri_shim.state.container import REASON_OOM_KILLED, Container, ContainerStatus
from cri_shim.state.metadata import ContainerMetadata
from cri_shim.state.sandbox import RuntimeChoice

pytestmark = pytest.mark.anyio


async def test_the_last_change_is_the_one_on_disk_however_slow_the_one_before(tmp_path, monkeypatch):
    container = Container(
        metadata=ContainerMetadata(id="one", name="one", sandbox_id="pod", config=cri.ContainerConfig()),
        status=ContainerStatus(created_at=1, started_at=2, pid=7),
        runtime=RuntimeChoice("runtime"),
        process=Process(),
    )
    parts = SimpleNamespace(paths=SimpleNamespace(container_root=lambda _: str(tmp_path)))
    really, began, go_on = checkpoint.write, threading.Event(), threading.Event()

    def slow_at_first(root: str, status: ContainerStatus) -> None:
        if not began.is_set():
            began.set()
            go_on.wait(60)
        really(root, status)

    monkeypatch.setattr(checkpoint, "write", slow_at_first)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: checkpointed(parts, container, reason=REASON_OOM_KILLED))
        await to_thread.run_sync(began.wait, 60)
        tasks.start_soon(lambda: checkpointed(parts, container, pid=0, finished_at=3, exit_code=137))
        while not container.status.finished_at:  # noqa: ASYNC110  (what is observed is the status)
            await anyio.sleep(0.001)
        await anyio.sleep(0.05)  # the second write's turn, if it doesn't wait for it
        go_on.set()
    assert checkpoint.read(str(tmp_path)) == container.status
