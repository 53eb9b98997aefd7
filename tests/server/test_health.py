"""grpc.health.v1 tells whether the CRI is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from cri_shim.api.grpc.health import v1 as health
from cri_shim.server.health import SERVICES
from tests.server.services import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

SERVING, NOT_SERVING = (
    health.HealthCheckResponseServingStatus.SERVING,
    health.HealthCheckResponseServingStatus.NOT_SERVING,
)


async def status(served: Any, service: str) -> health.HealthCheckResponseServingStatus:
    answer = await health.HealthStub(served.channel).check(health.HealthCheckRequest(service=service))
    return answer.status


async def test_not_until_the_node_is_recovered_does_it_serve(serving: Callable[..., Any]) -> None:
    async with serving(Runtime(), ready=False) as served:
        assert [await status(served, service) for service in SERVICES] == [NOT_SERVING] * 3
        served.server.ready()
        assert [await status(served, service) for service in SERVICES] == [SERVING] * 3


async def test_another_service_is_not_found(serving: Callable[..., Any]) -> None:
    async with serving(Runtime()) as served:
        with pytest.raises(GRPCError, match=r"runtime\.v1\.RuntimeService") as raised:
            await status(served, "no.such.Service")
        assert raised.value.status is Status.NOT_FOUND


async def test_a_watcher_hears_of_each_change_and_of_the_end(serving: Callable[..., Any]) -> None:
    heard: list[health.HealthCheckResponseServingStatus] = []
    first, second, ended = anyio.Event(), anyio.Event(), anyio.Event()

    async def watch(served: Any) -> None:
        request = health.HealthCheckRequest(service="runtime.v1.RuntimeService")
        async for answer in health.HealthStub(served.channel).watch(request):
            heard.append(answer.status)
            (second if first.is_set() else first).set()
        ended.set()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks, serving(Runtime(), ready=False) as served:
            tasks.start_soon(watch, served)
            await first.wait()
            served.server.ready()
            await second.wait()
            await served.server.__aexit__(None, None, None)
            await ended.wait()
    assert heard == [NOT_SERVING, SERVING, NOT_SERVING]


async def test_a_watcher_of_another_service_waits_for_it(serving: Callable[..., Any]) -> None:
    async with serving(Runtime()) as served:
        answers = health.HealthStub(served.channel).watch(health.HealthCheckRequest(service="no.such.Service"))
        assert (await anext(answers)).status is health.HealthCheckResponseServingStatus.SERVICE_UNKNOWN
        with anyio.move_on_after(0.2) as waiting:
            await anext(answers)
        assert waiting.cancelled_caught
