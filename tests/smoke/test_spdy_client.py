"""The client's end of SPDY against a server that does as it likes."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.abc import SocketStream

from cri_shim.smoke.check import Failed
from cri_shim.smoke.streams.spdy import SpdyClient, running
from cri_shim.streaming.spdy.connection import Connection
from cri_shim.streaming.spdy.events import DataReceived, StreamEnded, StreamOpened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from cri_shim.streaming.spdy.events import Event

    Answer = Callable[[Connection, Event], None]

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[SpdyClient]:
    """A client whose server answers each event so."""
    ours, theirs = socket.socketpair()

    async def serve() -> None:
        connection = Connection()
        async with await SocketStream.from_socket(theirs) as stream:
            async for data in stream:
                for event in connection.receive(data):
                    answer(connection, event)
                await stream.send(connection.data_to_send())

    async with anyio.create_task_group() as tasks, await SocketStream.from_socket(ours) as transport:
        tasks.start_soon(serve)
        async with running(transport) as client:
            yield client
        tasks.cancel_scope.cancel()


async def received(client: SpdyClient, data: bytes = b"") -> bytes:
    stream = await client.open((("streamtype", "data"),))
    await stream.send(data)
    await stream.end()
    found = b""
    try:
        while True:
            found += await stream.inbox.receive()
    except anyio.EndOfStream:
        return found


def echoing(connection: Connection, event: Event) -> None:
    match event:
        case StreamOpened(stream_id):
            connection.reply(stream_id)
        case DataReceived(stream_id, data):
            connection.send(stream_id, data)
        case StreamEnded(stream_id):
            connection.end(stream_id)


async def test_what_is_sent_comes_back_from_a_server_that_echoes() -> None:
    sent = bytes(range(256)) * 1024
    with anyio.fail_after(10):
        async with server(echoing) as client:
            assert await received(client, sent) == sent
            assert await received(client, b"again") == b"again"


def resetting(connection: Connection, event: Event) -> None:
    if isinstance(event, StreamOpened):
        connection.reply(event.stream_id)
        connection.reset(event.stream_id)


async def test_a_stream_that_the_server_has_reset_is_at_its_end_and_takes_what_is_sent() -> None:
    with anyio.fail_after(10):
        async with server(resetting) as client:
            stream = await client.open((("streamtype", "data"),))
            await anyio.sleep(0.05)
            await stream.send(b"lost")
            await stream.end()
            with pytest.raises(anyio.EndOfStream):
                await stream.inbox.receive()


async def test_a_stream_that_is_not_accepted_is_a_failure() -> None:
    def refusing(connection: Connection, event: Event) -> None:
        if isinstance(event, StreamOpened):
            connection.reset(event.stream_id)

    with anyio.fail_after(10):
        async with server(refusing) as client:
            with pytest.raises(Failed, match="to be accepted"):
                await client.open((("streamtype", "data"),))
