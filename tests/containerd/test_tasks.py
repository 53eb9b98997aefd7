"""What only tasks have: calls that must not be cut off."""

from __future__ import annotations

import anyio
import pytest

from cri_shim.api.containerd.services.tasks.v1.tasks_pb2 import CreateTaskResponse
from cri_shim.containerd import Client

pytestmark = pytest.mark.anyio


async def test_a_create_that_nobody_waits_for_any_more_is_not_cut_off(fake):
    called, ended = anyio.Event(), []

    async def create(stream):
        await stream.recv_message()
        called.set()
        await anyio.sleep(0.05)
        await stream.send_message(CreateTaskResponse(pid=7))
        ended.append("answered")

    fake.answers["Create"] = create
    async with Client(fake.path) as client:
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: client.tasks.create("c", rootfs=[]))
                await called.wait()
                tasks.cancel_scope.cancel()
    assert ended == ["answered"]
