"""SPDY/3.1, the client's end, as Kubernetes' own library behaves: it sends nothing on a stream before the reply."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from anyio.abc import ByteStream

from cri_shim.streaming.inbox import Inbox
from cri_shim.streaming.spdy.connection import Connection, Side
from cri_shim.streaming.spdy.events import (
    DataReceived,
    GoneAway,
    StreamEnded,
    StreamReplied,
    StreamReset,
)
from integration.streaming_client.connect import dial, upgrade
from integration.streaming_client.session import ERROR, RESIZE, STDERR, STDIN, STDOUT, CommandSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.streaming.spdy.header_block import Headers

_LOST = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
_FRAME = 32 << 10


class ClientStream(ByteStream):
    """A stream that we have opened."""

    def __init__(self, client: SpdyClient, stream_id: int) -> None:
        self.stream_id = stream_id
        self.inbox = Inbox()
        self.replied = anyio.Event()
        self.reset_status: int | None = None
        self._client = client

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self.inbox.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        for at in range(0, len(item), _FRAME):
            self._client.connection.send(self.stream_id, item[at : at + _FRAME])
            await self._client.flush()

    async def send_eof(self) -> None:
        self._client.connection.end(self.stream_id)
        await self._client.flush()

    async def aclose(self) -> None:
        self.inbox.close()
        self._client.connection.reset(self.stream_id)
        await self._client.flush()


class SpdyClient:
    """A connection. It keeps no windows, as Kubernetes' library keeps none."""

    def __init__(self, transport: ByteStream, first: bytes = b"") -> None:
        self.transport = transport
        self.connection = Connection(Side.CLIENT)
        self.streams: dict[int, ClientStream] = {}
        self.gone = anyio.Event()
        self.gone_away: GoneAway | None = None
        self._first = first
        self._sending = anyio.Lock()

    async def open(self, headers: Headers) -> ClientStream:
        """Open a stream, and wait for the reply."""
        stream_id = self.connection.open(headers)
        stream = self.streams[stream_id] = ClientStream(self, stream_id)
        await self.flush()
        await stream.replied.wait()
        return stream

    async def flush(self) -> None:
        async with self._sending:
            if data := self.connection.data_to_send():
                await self.transport.send(data)

    async def run(self) -> None:
        """Read until the server is gone."""
        data = self._first
        try:
            while True:
                for event in self.connection.receive(data):
                    await self._handle(event)
                data = await self.transport.receive()
        except _LOST:
            pass
        finally:
            self.gone.set()
            for stream in self.streams.values():
                stream.inbox.end()
                stream.replied.set()

    async def _handle(self, event: object) -> None:
        match event:
            case DataReceived(stream_id, data):
                await self.streams[stream_id].inbox.put(data)
            case StreamReplied(stream_id):
                self.streams[stream_id].replied.set()
            case StreamEnded(stream_id):
                self.streams[stream_id].inbox.end()
            case StreamReset(stream_id, status):
                self.streams[stream_id].reset_status = status
                self.streams[stream_id].inbox.end()
                self.streams[stream_id].replied.set()
            case GoneAway():
                self.gone_away = event


@asynccontextmanager
async def spdy_client(url: str, *protocols: str) -> AsyncIterator[tuple[SpdyClient, str]]:
    """A connection to `url`, and the protocol chosen for its streams. Raises Refused."""
    headers = [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")]
    async with await dial(url) as transport, anyio.create_task_group() as tasks:
        answer, first = await upgrade(
            transport, url, [*headers, *(("X-Stream-Protocol-Version", name) for name in protocols)]
        )
        client = SpdyClient(transport, first)
        tasks.start_soon(client.run)
        yield client, answer["x-stream-protocol-version"]
        tasks.cancel_scope.cancel()


class SpdyCommand(CommandSession):
    """A command over SPDY."""

    def __init__(self, client: SpdyClient, protocol: str) -> None:
        super().__init__()
        self.client = client
        self.protocol = protocol
        self.streams: dict[str, ClientStream] = {}

    async def open(self, *kinds: str) -> None:
        """Open these streams."""
        for kind in kinds:
            self.streams[kind] = await self.client.open((("streamType", kind),))
            self.inboxes[kind] = self.streams[kind].inbox

    async def write(self, stream: str, data: bytes) -> None:
        await self.streams[stream].send(data)

    async def end_stdin(self) -> None:
        await self.streams[STDIN].send_eof()


@asynccontextmanager
async def spdy_command(
    url: str, *protocols: str, stdin: bool = False, stdout: bool = True, stderr: bool = True, tty: bool = False
) -> AsyncIterator[SpdyCommand]:
    """A session of exec or attach at `url`, with the streams that its request asked for."""
    async with spdy_client(url, *(protocols or ("v4.channel.k8s.io",))) as (client, protocol):
        command = SpdyCommand(client, protocol)
        resizes = tty and protocol.startswith(("v3", "v4"))
        asked = {STDIN: stdin, STDOUT: stdout, STDERR: stderr and not tty, RESIZE: resizes}
        await command.open(ERROR, *(kind for kind, is_asked in asked.items() if is_asked))
        yield command


class ForwardedConnection(ByteStream):
    """A connection to a pod's port, and what the error stream says of it."""

    def __init__(self, data: ClientStream, error: ClientStream) -> None:
        self.data = data
        self.error = error

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self.data.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        await self.data.send(item)

    async def send_eof(self) -> None:
        await self.data.send_eof()

    async def aclose(self) -> None:
        await self.data.aclose()
        await self.error.aclose()

    async def error_text(self) -> str:
        """All that the error stream says, in the end."""
        return b"".join([data async for data in self.error]).decode()


class SpdyPorts:
    """Forwarded ports, over SPDY."""

    def __init__(self, client: SpdyClient) -> None:
        self.client = client
        self._requests = 0

    async def connect(self, port: int) -> ForwardedConnection:
        """A connection to `port`."""
        headers = (("port", str(port)), ("requestID", str(self._requests)))
        self._requests += 1
        error = await self.client.open((("streamType", "error"), *headers))
        await error.send_eof()
        return ForwardedConnection(await self.client.open((("streamType", "data"), *headers)), error)


@asynccontextmanager
async def spdy_ports(url: str) -> AsyncIterator[SpdyPorts]:
    """A session of port-forward at `url`."""
    async with spdy_client(url, "portforward.k8s.io") as (client, _):
        yield SpdyPorts(client)
