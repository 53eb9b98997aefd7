"""The server's end, seen by clients that stay connected."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio
import pytest
from grpclib.client import Channel
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import CriCodec
from cri_shim.server import serve as serve_module
from cri_shim.server.serve import Server
from tests.server.services import Runtime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


class Endless(cri.RuntimeServiceBase):
    """Has one event, and waits for the next."""

    closed = False

    async def get_container_events(
        self,
        message: cri.GetEventsRequest,  # noqa: ARG002
    ) -> AsyncIterator[cri.ContainerEventResponse]:
        try:
            yield cri.ContainerEventResponse(container_id="c")
            await anyio.sleep_forever()
        finally:
            self.closed = True


async def test_a_slow_call_finishes_while_new_ones_are_told_to_come_again(settings):
    service, answers = Runtime(), []
    path = settings.shim.address.removeprefix("unix://")
    channel = Channel(path=path, codec=CriCodec())
    stub = cri.RuntimeServiceStub(channel)

    async def stop():
        answers.append(await stub.stop_container(cri.StopContainerRequest(container_id="c")))

    async def come_again():
        await service.called.wait()
        while not server._gate.draining:  # noqa: ASYNC110  (nobody tells when the gate is shut)
            await anyio.sleep(0.01)
        with pytest.raises(GRPCError) as caught:
            await stub.version(cri.VersionRequest())
        answers.append(caught.value)
        service.let.set()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            server = Server(settings, [service])
            async with server:
                server.ready()
                tasks.start_soon(stop)
                tasks.start_soon(come_again)
                await service.called.wait()
            assert not os.path.lexists(path)  # noqa: ASYNC240  (of a temporary directory)
    channel.close()
    refused, answered = answers
    assert (refused.status, refused.message) == (Status.UNAVAILABLE, "server is shutting down")
    assert answered == cri.StopContainerResponse()


async def test_a_call_that_takes_too_long_does_not_keep_the_server(settings, monkeypatch):
    monkeypatch.setattr(serve_module, "DRAIN_SECONDS", 0.05)
    service = Runtime()
    channel = Channel(path=settings.shim.address.removeprefix("unix://"), codec=CriCodec())

    async def stop():
        with pytest.raises(Exception, match=r"[Cc]onnection|cancel"):
            await cri.RuntimeServiceStub(channel).stop_container(cri.StopContainerRequest(container_id="c"))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            async with Server(settings, [service]) as server:
                server.ready()
                tasks.start_soon(stop)
                await service.called.wait()
            assert service.cancelled.is_set()
            channel.close()


async def test_a_server_that_was_never_entered_has_nothing_to_end(settings):
    await Server(settings, [Runtime()]).__aexit__(None, None, None)


async def test_a_second_server_is_refused_and_the_first_goes_on(settings, serving):
    async with serving(Runtime()) as served:
        with pytest.raises(Exception, match="another server answers there"):
            async with Server(settings, [Runtime()]):
                pass
        await served.runtime.version(cri.VersionRequest())


async def test_a_stream_without_an_end_is_ended_and_does_not_keep_the_server(settings):
    service, found, begun = Endless(), [], anyio.Event()
    channel = Channel(path=settings.shim.address.removeprefix("unix://"), codec=CriCodec())

    async def follow():
        with pytest.raises(GRPCError) as caught:
            async for event in cri.RuntimeServiceStub(channel).get_container_events(cri.GetEventsRequest()):
                found.append(event.container_id)
                begun.set()
        found.append(caught.value.status)

    with anyio.fail_after(serve_module.DRAIN_SECONDS / 2):
        async with anyio.create_task_group() as tasks, Server(settings, [service]) as server:
            server.ready()
            tasks.start_soon(follow)
            await begun.wait()
    channel.close()
    assert found == ["c", Status.UNAVAILABLE]
    assert service.closed
