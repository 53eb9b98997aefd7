"""Calls, from a real client over a real socket."""

from __future__ import annotations

from contextlib import closing

import anyio
import pytest
from grpclib.client import Channel
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import compiled
from tests.server.services import Runtime

pytestmark = pytest.mark.anyio


async def refused(call) -> GRPCError:
    with anyio.fail_after(10), pytest.raises(GRPCError) as caught:
        await call
    return caught.value


async def test_a_call_before_recovery_is_done_is_unavailable_in_containerds_words(serving):
    async with serving(Runtime(), ready=False) as served:
        error = await refused(served.runtime.version(cri.VersionRequest()))
        assert (error.status, error.message) == (Status.UNAVAILABLE, "server is not initialized yet")
        served.server.ready()
        assert (await served.runtime.version(cri.VersionRequest())).runtime_name == "test"


async def test_an_encoded_response_arrives_as_the_message_that_it_is(serving):
    async with serving(Runtime()) as served:
        answer = await served.runtime.list_containers(cri.ListContainersRequest())
    assert [container.id for container in answer.containers] == ["one", "two"]


async def test_a_stream_of_responses_arrives_in_order_and_ends(serving):
    async with serving(Runtime()) as served:
        found = [event.container_id async for event in served.runtime.get_container_events(cri.GetEventsRequest())]
    assert found == ["first", "second"]


async def test_a_stream_that_fails_midway_ends_with_the_error_after_what_was_sent(serving):
    service, found = Runtime(), []
    service.let.set()

    async def collect(served):
        async for event in served.runtime.get_container_events(cri.GetEventsRequest()):
            found.append(event.container_id)  # noqa: PERF401  (of a comprehension nothing is left when it fails)

    async with serving(service) as served:
        error = await refused(collect(served))
    assert found == ["first", "second"]
    assert (error.status, error.message) == (Status.UNKNOWN, "RuntimeError: the source of events is gone")


async def test_three_hundred_slow_calls_hold_up_no_list_on_the_same_connection(serving):
    service = Runtime(awaited=300)
    async with serving(service) as served:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for number in range(300):
                    tasks.start_soon(served.runtime.stop_container, cri.StopContainerRequest(container_id=str(number)))
                await service.called.wait()
                answer = await served.runtime.list_containers(cri.ListContainersRequest())
                assert len(answer.containers) == 2
                service.let.set()


async def test_a_request_above_the_limit_is_refused_by_its_length_before_any_of_it_comes(serving):
    async with serving(Runtime()) as served:
        error = await refused(served.raw(b"", length=(16 << 20) + 1, end=False))
    assert error.status is Status.RESOURCE_EXHAUSTED
    assert error.message == "request larger than max (16777217 vs. 16777216)"


async def test_what_was_sent_of_refused_requests_takes_no_window_from_the_connection(serving):
    async with serving(Runtime()) as served:
        for _ in range(24):  # 72 MiB: more than the connection's window
            error = await refused(served.raw(bytes(3 << 20), length=1 << 30, end=False))
            assert error.status is Status.RESOURCE_EXHAUSTED
        with anyio.fail_after(10):
            await served.runtime.version(cri.VersionRequest())


async def test_a_request_at_the_limit_is_taken(serving):
    async with serving(Runtime(), max_recv_message_size=1 << 20) as served:
        text = "v" * ((1 << 20) - 4)  # a tag, three bytes of length
        assert (await served.runtime.version(cri.VersionRequest(version=text))).version == text
        error = await refused(served.runtime.version(cri.VersionRequest(version=text + "v")))
    assert error.status is Status.RESOURCE_EXHAUSTED


async def test_a_response_above_the_limit_is_an_error_that_says_so(serving):
    async with serving(Runtime(), max_send_message_size=16) as served:
        error = await refused(served.runtime.version(cri.VersionRequest(version="long enough to be too long")))
        assert error.status is Status.RESOURCE_EXHAUSTED
        assert error.message.startswith("response larger than max (")


async def test_a_compressed_request_is_unimplemented(serving):
    async with serving(Runtime()) as served:
        error = await refused(served.raw(b"\x0a\x01v", compressed=1))
        assert error.status is Status.UNIMPLEMENTED
        assert "without compression" in error.message


@pytest.mark.parametrize(
    ("data", "length"),
    [
        pytest.param(b"\x0a\x05v", None, id="a field that is longer than the message"),
        pytest.param(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None, id="a tag without end"),
        pytest.param(b"\x0a\x02\xff\xfe", None, id="no UTF-8"),
        pytest.param(b"\x0a", 2, id="an end before the message's"),
    ],
)
async def test_a_malformed_request_is_an_invalid_argument_and_the_connection_goes_on(serving, data, length):
    async with serving(Runtime()) as served:
        error = await refused(served.raw(data, length=length))
        assert error.status is Status.INVALID_ARGUMENT
        assert (await served.runtime.version(cri.VersionRequest(version="v1"))).version == "v1"


async def test_a_call_without_a_message_is_an_invalid_argument(serving):
    async with serving(Runtime()) as served:
        request = served.channel.request(
            "/runtime.v1.RuntimeService/Version",
            cri.RuntimeServiceBase().__mapping__()["/runtime.v1.RuntimeService/Version"].cardinality,
            cri.VersionRequest,
            cri.VersionResponse,
        )

        async def call():
            async with request as stream:
                await stream.send_request()
                await stream._stream.send_data(b"", end_stream=True)
                stream._send_message_done = stream._end_done = True
                await stream.recv_message()

        error = await refused(call())
    assert error.status is Status.INVALID_ARGUMENT


async def test_an_unknown_method_is_unimplemented(serving):
    async with serving(Runtime()) as served:
        error = await refused(served.images.list_images(cri.ListImagesRequest()))
    assert (error.status, error.message) == (Status.UNIMPLEMENTED, "unknown method /runtime.v1.ImageService/ListImages")


async def test_a_client_that_hangs_up_ends_its_call(serving):
    service = Runtime()
    async with serving(service) as served:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(served.runtime.stop_container, cri.StopContainerRequest(container_id="c"))
                await service.called.wait()
                tasks.cancel_scope.cancel()
            await service.cancelled.wait()


async def test_a_connection_that_is_lost_ends_its_calls(serving):
    service = Runtime()

    async def call(served):
        with pytest.raises(Exception, match=r"[Cc]onnection"):
            await served.runtime.stop_container(cri.StopContainerRequest(container_id="c"))

    async with serving(service) as served:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call, served)
                await service.called.wait()
                served.channel.close()
            await service.cancelled.wait()


async def test_a_call_ends_at_the_clients_deadline(serving):
    service = Runtime()
    async with serving(service) as served:
        with anyio.fail_after(10):
            with pytest.raises((GRPCError, TimeoutError)):
                await served.runtime.stop_container(cri.StopContainerRequest(container_id="c"), timeout=0.05)
            await service.cancelled.wait()


async def test_the_codec_of_every_message_is_compiled_ahead(serving):
    async with serving(Runtime()) as served:
        await served.server._preparing
        assert {cri.VersionRequest, cri.StopContainerRequest} <= set(compiled._decoders)
        assert {cri.VersionResponse, cri.ContainerEventResponse} <= set(compiled._encoders)


async def test_a_stream_is_made_as_fast_as_its_client_reads_and_others_are_answered_meanwhile(serving):
    pieces, piece = 600, 64 << 10  # bytes; a client takes 4 MiB before it has to read
    made: list[int] = []

    class Images(cri.ImageServiceBase):
        async def stream_images(self, message: cri.StreamImagesRequest):  # noqa: ARG002
            for number in range(pieces):
                made.append(number)
                yield cri.StreamImagesResponse(
                    images=[cri.Image(id=str(number), spec=cri.ImageSpec(image="x" * piece))]
                )

    async with serving(Images(), Runtime()) as served:
        stream = served.images.stream_images(cri.StreamImagesRequest())
        found = [(await anext(stream)).images[0].id]
        with anyio.fail_after(20):
            while len(made) < (3 << 20) // piece:  # noqa: ASYNC110  (nothing tells us)
                await anyio.sleep(0.01)
        await anyio.sleep(0.2)  # time enough to make them all
        assert len(made) < (8 << 20) // piece
        with closing(Channel(path=served.settings.shim.address.removeprefix("unix://"))) as other:
            await cri.RuntimeServiceStub(other).version(cri.VersionRequest())
        found += [answer.images[0].id async for answer in stream]
    assert found == [str(number) for number in range(pieces)]
