from __future__ import annotations

import anyio
import pytest

from cri_shim.errors import FailedPrecondition, NotFound
from cri_shim.state.flights import Flights

pytestmark = pytest.mark.anyio


async def test_an_equal_request_gets_the_result_of_the_one_in_flight() -> None:
    runs = 0

    async def work() -> str:
        nonlocal runs
        runs += 1
        await anyio.sleep(0.01)
        return "id"

    results = []
    async with anyio.create_task_group() as tasks:
        flights = Flights(tasks)

        async def call() -> None:
            results.append(await flights.join("pod", "same", work))

        for _ in range(3):
            tasks.start_soon(call)
    assert results == ["id"] * 3
    assert runs == 1


async def test_a_different_request_for_the_same_name_is_refused_while_the_first_is_in_flight() -> None:
    async with anyio.create_task_group() as tasks:
        flights = Flights(tasks)
        tasks.start_soon(flights.join, "pod", "one", anyio.Event().wait)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(FailedPrecondition, match="in flight"):
            await flights.join("pod", "two", anyio.Event().wait)
        tasks.cancel_scope.cancel()


async def test_one_caller_giving_up_does_not_end_the_work_for_the_others() -> None:
    release = anyio.Event()

    async def work() -> str:
        await release.wait()
        return "done"

    async with anyio.create_task_group() as tasks:
        flights = Flights(tasks)
        with anyio.move_on_after(0.01):
            tasks.start_soon(flights.join, "pod", 1, work)
            await anyio.wait_all_tasks_blocked()
            await flights.join("pod", 1, work)
        release.set()
        await anyio.wait_all_tasks_blocked()


async def test_when_the_last_caller_gives_up_the_work_is_undone_and_a_retry_starts_afresh() -> None:
    events: list[str] = []

    async def work() -> str:
        events.append("begin")
        try:
            await anyio.sleep(0.02 if "undone" in events else 30)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.02)
                events.append("undone")
            raise
        return "second"

    async with anyio.create_task_group() as tasks:
        flights = Flights(tasks)
        with anyio.move_on_after(0.01):
            await flights.join("pod", 1, work)
        assert await flights.join("pod", 1, work) == "second"
    assert events == ["begin", "undone", "begin"]


async def test_an_error_of_the_work_reaches_every_caller() -> None:
    async def work() -> None:
        await anyio.sleep(0.01)
        raise NotFound("image")

    caught = []

    async with anyio.create_task_group() as tasks:
        flights = Flights(tasks)

        async def call() -> None:
            try:
                await flights.join("pod", 1, work)
            except NotFound as error:
                caught.append(str(error))

        tasks.start_soon(call)
        tasks.start_soon(call)
    assert caught == ["image", "image"]
