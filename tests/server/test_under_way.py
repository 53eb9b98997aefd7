"""What calls depend on goes on until they are answered, and no longer."""

from __future__ import annotations

import anyio
import pytest

from cri_shim.server.under_way import UnderWay

pytestmark = pytest.mark.anyio


async def test_work_outlives_the_cancellation_until_the_drain_is_over() -> None:
    told: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep(0.05)
            told.append("worked on")
            await anyio.sleep_forever()
        finally:
            told.append("ended")

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks, UnderWay(tasks) as under_way:
            under_way.group.start_soon(work)
            tasks.cancel_scope.cancel()
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):  # a server that drains
                    await anyio.sleep(0.1)
                told.append("drained")
                await under_way.end()
                told.append("left")
    assert told == ["worked on", "drained", "ended", "left"]


async def test_work_that_fails_ends_it_all() -> None:
    async def work() -> None:
        raise ValueError("broken")

    with anyio.fail_after(10), pytest.raises(ExceptionGroup) as raised:
        async with anyio.create_task_group() as tasks, UnderWay(tasks) as under_way:
            under_way.group.start_soon(work)
            await anyio.sleep_forever()
    assert raised.group_contains(ValueError, match="broken")


async def test_a_body_that_fails_ends_the_work() -> None:
    with anyio.fail_after(10), pytest.raises(ExceptionGroup) as raised:
        async with anyio.create_task_group() as tasks, UnderWay(tasks) as under_way:
            under_way.group.start_soon(anyio.sleep_forever)
            raise ValueError("broken")
    assert raised.group_contains(ValueError, match="broken")
