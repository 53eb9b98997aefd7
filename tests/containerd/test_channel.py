"""How calls to containerd behave when all is well, when it errs, and when it goes away."""

from __future__ import annotations

import asyncio
import time

import anyio
import pytest
from google.protobuf.empty_pb2 import Empty
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import get_current_span

from cri_shim import errors
from cri_shim.api.containerd.services.containers.v1.containers_pb2 import (
    Container,
    CreateContainerResponse,
    GetContainerResponse,
)
from cri_shim.api.containerd.services.tasks.v1.tasks_pb2 import WaitResponse
from cri_shim.api.containerd.services.version.v1.version_pb2 import VersionResponse
from cri_shim.api.containerd.types.event_pb2 import Envelope
from cri_shim.containerd import Client
from cri_shim.containerd.tasks import Exit
from cri_shim.observe import tracing

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(fake):
    async with Client(fake.path, patience=2.0) as client:
        yield client


async def test_each_call_names_its_namespace_and_no_lease_of_its_own(fake, client):
    seen = []

    async def get(stream):
        await stream.recv_message()
        seen.append(dict(stream.metadata))
        await stream.send_message(GetContainerResponse(container=Container(id="c")))

    fake.answers["Get"] = get
    assert (await client.containers.get("c")).id == "c"
    assert seen[0]["containerd-namespace"] == "k8s.io"
    assert "containerd-lease" not in seen[0]


async def test_a_call_continues_the_trace_that_it_is_made_in(fake, client):
    seen = []

    async def get(stream):
        await stream.recv_message()
        seen.append(dict(stream.metadata))
        await stream.send_message(GetContainerResponse(container=Container(id="c")))

    fake.answers["Get"] = get
    trace = "0af7651916cd43dd8448eb211c80319c"
    tracing.set_tracer(TracerProvider().get_tracer("test"))
    try:
        await client.containers.get("c")
        with tracing.call_span("/runtime.v1.RuntimeService/A", {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}):
            ours = get_current_span().get_span_context()
            await client.containers.get("c")
    finally:
        tracing.set_tracer(None)
    await client.containers.get("c")
    assert seen[1]["traceparent"] == f"00-{trace}-{ours.span_id:016x}-01"
    assert "traceparent" not in seen[0] | seen[2]


async def test_a_lease_goes_out_as_a_header(fake, client):
    seen = []

    async def create(stream):
        await stream.recv_message()
        seen.append(dict(stream.metadata))
        await stream.send_message(CreateContainerResponse())

    fake.answers["Create"] = create
    await client.containers.create(Container(id="c"), lease="l1")
    assert seen[0]["containerd-lease"] == "l1"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status.NOT_FOUND, errors.NotFound),
        (Status.ALREADY_EXISTS, errors.AlreadyExists),
        (Status.FAILED_PRECONDITION, errors.FailedPrecondition),
        (Status.UNIMPLEMENTED, errors.Unimplemented),
        (Status.UNKNOWN, errors.Unknown),
    ],
)
async def test_a_status_comes_back_as_our_error_with_containerds_words(fake, client, status, kind):
    async def get(stream):
        await stream.recv_message()
        raise GRPCError(status, 'container "c": no such thing')

    fake.answers["Get"] = get
    with pytest.raises(kind, match=r'^container "c": no such thing$'):
        await client.containers.get("c")


async def hang(stream):
    await stream.recv_message()
    await asyncio.sleep(30)


async def test_an_exec_whose_shim_is_just_going_is_gone(fake, client):
    answers = [(Status.UNKNOWN, "ttrpc: closed"), (Status.NOT_FOUND, "no such process")]

    async def delete(stream):
        await stream.recv_message()
        raise GRPCError(*answers.pop(0))

    fake.answers["DeleteProcess"] = delete
    with pytest.raises(errors.NotFound):
        await client.tasks.delete_process("container", "exec")
    assert answers == []


async def test_a_deadline_is_told_to_containerd_and_kept_here(fake, client):
    left = []

    async def version(stream):
        left.append(stream.deadline.time_remaining())
        await hang(stream)

    fake.answers["Get"] = version
    fake.answers["Version"] = version
    channel = client.containers._channel
    with pytest.raises(errors.DeadlineExceeded, match=r"within 0\.1 s"):
        await channel.read(client.version._stub.Version, Empty(), timeout=0.1)
    assert 0 < left[0] <= 0.1


async def test_a_deadline_leaves_no_cancellation_behind_for_a_scope_around_it(fake, client):
    fake.answers["Version"] = hang
    with anyio.move_on_after(0.2) as scope:
        with pytest.raises(errors.DeadlineExceeded):
            await client.version._channel.read(client.version._stub.Version, Empty(), timeout=0.05)
        assert asyncio.current_task().cancelling() == 0
        await anyio.sleep(5)
    assert scope.cancelled_caught


async def test_a_cancelled_call_ends_on_containerds_side_as_well(fake, client):
    ended = anyio.Event()

    async def wait(stream):
        try:
            await hang(stream)
        finally:
            ended.set()

    fake.answers["Wait"] = wait
    with anyio.move_on_after(0.1):
        await client.tasks.wait("c")
    with anyio.fail_after(2):
        await ended.wait()


async def test_a_write_is_not_cut_off_when_its_caller_goes_away(fake, client):
    called, ended = anyio.Event(), []

    async def create(stream):
        await stream.recv_message()
        called.set()
        await anyio.sleep(0.05)
        await stream.send_message(CreateContainerResponse())
        ended.append("answered")

    fake.answers["Create"] = create
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.containers.create, Container(id="c"))
            await called.wait()
            tasks.cancel_scope.cancel()
    assert ended == ["answered"]


async def test_an_unreachable_containerd_is_unavailable_by_its_address(tmp_path):
    async with Client(f"unix://{tmp_path}/none.sock", patience=0) as client:
        with pytest.raises(errors.Unavailable, match=f"{tmp_path}/none.sock can't be reached: .*is it running"):
            await client.version()


async def test_a_call_survives_a_restart_of_containerd(fake, client):
    await client.version()
    await fake.stop()

    async def restart():
        await anyio.sleep(0.3)
        await fake.start()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(restart)
        assert (await client.version()).version == "2.1.9"


async def test_a_read_whose_connection_broke_is_asked_again(fake, client):
    calls = []

    async def version(stream):
        await stream.recv_message()
        calls.append(stream)
        if len(calls) == 1:
            stream.peer._transport.abort()
            await asyncio.sleep(5)
        await stream.send_message(VersionResponse(version="2.1.9"))

    fake.answers["Version"] = version
    assert (await client.version()).version == "2.1.9"
    assert len(calls) == 2
    assert asyncio.current_task().cancelling() == 0


async def test_a_write_whose_connection_broke_is_not_sent_twice(fake, client):
    calls = []

    async def create(stream):
        await stream.recv_message()
        calls.append(stream)
        stream.peer._transport.abort()
        await asyncio.sleep(5)

    fake.answers["Create"] = create
    with pytest.raises(errors.Unavailable, match="went away during"):
        await client.containers.create(Container(id="c"))
    assert len(calls) == 1


async def test_once_an_outage_is_long_calls_fail_at_once(tmp_path):
    async with Client(str(tmp_path / "none.sock"), patience=0.2) as client:
        with pytest.raises(errors.Unavailable):
            await client.version()
        before = time.monotonic()
        for _ in range(20):
            with pytest.raises(errors.Unavailable):
                await client.version()
        assert time.monotonic() - before < 0.15


async def test_a_containerd_that_dies_at_every_call_is_given_up(fake, client):
    async def version(stream):
        await stream.recv_message()
        stream.peer._transport.abort()
        await asyncio.sleep(5)

    fake.answers["Version"] = version
    client._calls._patience = 0.3
    with anyio.fail_after(3), pytest.raises(errors.Unavailable):
        await client.version()


async def test_more_than_a_thousand_waits_leave_room_for_calls(fake, client):
    release = anyio.Event()
    waiting = 0

    async def wait(stream):
        nonlocal waiting
        waiting += (await stream.recv_message()).container_id != "first"
        if waiting:
            await release.wait()
        reply = WaitResponse(exit_status=137)
        reply.exited_at.FromNanoseconds(1_700_000_000_123_456_789)
        await stream.send_message(reply)

    fake.answers["Wait"] = wait
    await client.tasks.wait("first")  # the fake's word that it has no limit comes after its greeting
    exits = []

    async def collect(number):
        exits.append(await client.tasks.wait(f"c{number}"))

    async with anyio.create_task_group() as tasks:
        for number in range(1200):
            tasks.start_soon(collect, number)
        with anyio.fail_after(30):
            while waiting < 1200:  # noqa: ASYNC110  (the fake counts)
                await anyio.sleep(0.05)
            assert (await client.version()).version == "2.1.9"
        release.set()
    assert exits == [Exit(137, 1_700_000_000_123_456_789)] * 1200


async def test_waits_go_on_after_a_restart_of_containerd(fake, client):
    calls = []

    async def wait(stream):
        await stream.recv_message()
        calls.append(1)
        if len(calls) == 1:
            await asyncio.sleep(30)
        await stream.send_message(WaitResponse(exit_status=3))

    fake.answers["Wait"] = wait
    async with anyio.create_task_group() as tasks:

        async def restart():
            await anyio.sleep(0.1)
            await fake.stop()
            await fake.start()

        tasks.start_soon(restart)
        assert (await client.tasks.wait("c")).status == 3


async def test_events_come_as_they_happen_and_leaving_ends_the_stream(fake, client):
    ended = anyio.Event()

    async def subscribe(stream):
        request = await stream.recv_message()
        try:
            for topic in request.filters:
                await stream.send_message(Envelope(topic=topic))
            await asyncio.sleep(30)
        finally:
            ended.set()

    fake.answers["Subscribe"] = subscribe
    async with client.events.subscribe("/a", "/b") as events:
        assert [(await anext(events)).topic, (await anext(events)).topic] == ["/a", "/b"]
    with anyio.fail_after(2):
        await ended.wait()
    assert (await client.version()).version == "2.1.9"


async def test_a_lost_event_stream_is_unavailable_not_an_end(fake, client):
    async def subscribe(stream):
        await stream.recv_message()
        await stream.send_message(Envelope(topic="/a"))
        await asyncio.sleep(0.05)
        stream.peer._transport.abort()
        await asyncio.sleep(5)

    fake.answers["Subscribe"] = subscribe
    topics = []

    async def follow():
        async with client.events.subscribe() as events:
            async for event in events:
                topics.append(event.topic)  # noqa: PERF401  (it ends with an error)

    with pytest.raises(errors.Unavailable, match="went away"):
        await follow()
    assert topics == ["/a"]
