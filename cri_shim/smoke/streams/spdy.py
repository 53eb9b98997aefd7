"""SPDY/3.1 on a byte stream, the client's end: streams that it opens, and what comes on them.

As Kubernetes' own library it opens no windows: a server that closes at the end of a session would answer a
WINDOW_UPDATE that comes too late by a reset, which takes back what has not yet been read.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import anyio

from cri_shim.smoke.check import Failed
from cri_shim.smoke.streams.upgrade import dialled, upgrade
from cri_shim.streaming.inbox import Inbox
from cri_shim.streaming.lost import LOST
from cri_shim.streaming.spdy.connection import Connection, Side
from cri_shim.streaming.spdy.events import DataReceived, StreamEnded, StreamReplied, StreamReset
from cri_shim.streaming.spdy.faults import LocalFault, RemoteFault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import ByteStream

    from cri_shim.smoke.place import Place
    from cri_shim.streaming.spdy.events import Event
    from cri_shim.streaming.spdy.header_block import Headers

_FRAME: Final = 32 << 10


class Stream:
    """A stream that we have opened. What is sent after the server has ended it is lost, as on a socket."""

    def __init__(self, client: SpdyClient, stream_id: int) -> None:
        self.id = stream_id
        self.inbox = Inbox()
        self.replied = anyio.Event()
        self.is_accepted = False
        self._client = client

    async def send(self, data: bytes) -> None:
        """Send on it."""
        with suppress(LocalFault):
            for at in range(0, len(data), _FRAME):
                self._client.connection.send(self.id, data[at : at + _FRAME])
                await self._client.flush()

    async def end(self) -> None:
        """Send no more."""
        with suppress(LocalFault):
            self._client.connection.end(self.id)
        await self._client.flush()

    def over(self) -> None:
        """Nothing more comes."""
        self.inbox.end()
        self.replied.set()


class SpdyClient:
    """The connection; `run` reads it until its end."""

    def __init__(self, transport: ByteStream) -> None:
        self.connection = Connection(Side.CLIENT)
        self._transport = transport
        self._streams: dict[int, Stream] = {}
        self._sending = anyio.Lock()

    async def open(self, headers: Headers, *, ended: bool = False) -> Stream:
        """A stream that the server has accepted; `ended`: nothing will be sent on it. Raises Failed if it is not."""
        stream_id = self.connection.open(headers, fin=ended)
        stream = self._streams[stream_id] = Stream(self, stream_id)
        await self.flush()
        await stream.replied.wait()
        if not stream.is_accepted:
            raise Failed(f"a stream with {dict(headers)} to be accepted", "one that was reset, or the connection's end")
        return stream

    async def flush(self) -> None:
        """Send what is to be sent."""
        async with self._sending:
            if data := self.connection.data_to_send():
                await self._transport.send(data)

    async def run(self, data: bytes) -> None:
        """Read until the server is gone; `data` has been read already."""
        try:
            while True:
                for event in self.connection.receive(data):
                    await self._handle(event)
                with suppress(*LOST):  # what has come before the server left is still to be read
                    await self.flush()
                data = await self._transport.receive()
        except (*LOST, RemoteFault):
            return
        finally:
            for stream in self._streams.values():
                stream.over()

    async def _handle(self, event: Event) -> None:
        match event:
            case StreamReplied(stream_id):
                self._streams[stream_id].is_accepted = True
                self._streams[stream_id].replied.set()
            case DataReceived(stream_id, data):
                await self._streams[stream_id].inbox.put(data)
            case StreamEnded(stream_id) | StreamReset(stream_id):
                self._streams[stream_id].over()


@asynccontextmanager
async def spdy(place: Place, url: str, protocol: str) -> AsyncIterator[SpdyClient]:
    """A connection to `url` whose streams follow `protocol`. Raises Refused."""
    headers = [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"), ("X-Stream-Protocol-Version", protocol)]
    async with dialled(place, url) as transport:
        answered, first = await upgrade(transport, url, "POST", headers)
        if answered.get("x-stream-protocol-version") != protocol:
            raise Failed(f"the protocol {protocol}", str(answered.get("x-stream-protocol-version")))
        async with running(transport, first) as client:
            yield client


@asynccontextmanager
async def running(transport: ByteStream, first: bytes = b"") -> AsyncIterator[SpdyClient]:
    """SPDY on a connection that has switched to it, read from for the length of the block."""
    client = SpdyClient(transport)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.run, first)
        yield client
        tasks.cancel_scope.cancel()
