"""SPDY/3.1, the client's end, as Kubernetes' own library behaves: it sends nothing on a stream before the reply."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from anyio.abc import ByteStream

from cri_shim.streaming.inbox import Inbox
from cri_shim.streaming.spdy.faults import ResetStatus
from cri_shim.streaming.spdy.frame_reader import FrameReader
from cri_shim.streaming.spdy.frames import Data, GoAway, Ping, RstStream, SynReply, SynStream, serialize
from cri_shim.streaming.spdy.header_block import HeaderDeflater
from cri_shim.streaming.spdy.limits import DEFAULT_LIMITS
from integration.streaming_client.connect import dial, upgrade
from integration.streaming_client.session import ERROR, RESIZE, STDERR, STDIN, STDOUT, CommandSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.streaming.spdy.frames import Frame
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
            await self._client.send(Data(self.stream_id, item[at : at + _FRAME]))

    async def send_eof(self) -> None:
        await self._client.send(Data(self.stream_id, b"", fin=True))

    async def aclose(self) -> None:
        self.inbox.close()
        await self._client.send(RstStream(self.stream_id, ResetStatus.CANCEL))

    def over(self) -> None:
        self.inbox.end()
        self.replied.set()


class SpdyClient:
    """A connection. It keeps no windows, as Kubernetes' library keeps none, and no states that could be ours."""

    def __init__(self, transport: ByteStream, first: bytes = b"") -> None:
        self.transport = transport
        self.streams: dict[int, ClientStream] = {}
        self.gone = anyio.Event()
        self.gone_away: GoAway | None = None
        self.pings: list[int] = []
        self._reader = FrameReader(DEFAULT_LIMITS)
        self._deflater = HeaderDeflater()
        self._first = first
        self._sending = anyio.Lock()

    async def open(self, headers: Headers) -> ClientStream:
        """Open a stream, and wait for the reply."""
        stream_id = 2 * len(self.streams) + 1
        stream = self.streams[stream_id] = ClientStream(self, stream_id)
        await self.send(SynStream(stream_id, headers))
        await stream.replied.wait()
        return stream

    async def send(self, frame: Frame) -> None:
        data = serialize(frame, self._deflater.block)
        async with self._sending:
            await self.transport.send(data)

    async def run(self) -> None:
        """Read until the server is gone."""
        data = self._first
        try:
            while True:
                for frame in self._reader.frames(data):
                    await self._handle(frame)
                data = await self.transport.receive()
        except _LOST:
            pass
        finally:
            self.gone.set()
            for stream in self.streams.values():
                stream.over()

    async def _handle(self, frame: Frame) -> None:
        assert self.gone_away is None, f"{frame} after GOAWAY"
        match frame:
            case Data(stream_id, data, fin):
                await self.streams[stream_id].inbox.put(data)
                if fin:
                    self.streams[stream_id].inbox.end()
            case SynReply(stream_id):
                self.streams[stream_id].replied.set()
            case RstStream(stream_id, status):
                self.streams[stream_id].reset_status = status
                self.streams[stream_id].over()
            case Ping(ping_id):
                self.pings.append(ping_id)
            case GoAway():
                self.gone_away = frame


@asynccontextmanager
async def spdy_client(url: str, *protocols: str) -> AsyncIterator[tuple[SpdyClient, str]]:
    """A connection to `url`, and the protocol chosen for its streams. Raises Refused."""
    headers = [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")]
    headers += [("X-Stream-Protocol-Version", name) for name in protocols]
    async with await dial(url) as transport:
        answer, first = await upgrade(transport, url, headers)
        client = SpdyClient(transport, first)
        async with anyio.create_task_group() as tasks:
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
