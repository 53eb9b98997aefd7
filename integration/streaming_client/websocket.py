"""WebSocket, the client's end: channels for commands and for ports, and SPDY in a tunnel."""

from __future__ import annotations

import base64
import os
from contextlib import asynccontextmanager
from struct import unpack
from typing import TYPE_CHECKING

import anyio
from anyio.abc import ByteStream
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from cri_shim.streaming.inbox import Inbox
from integration.streaming_client.connect import dial, upgrade
from integration.streaming_client.session import ERROR, RESIZE, STDERR, STDIN, STDOUT, CommandSession
from integration.streaming_client.spdy import SpdyClient, SpdyPorts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LOST = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
_CHANNELS = {STDIN: 0, STDOUT: 1, STDERR: 2, ERROR: 3, RESIZE: 4}
_CLOSE = 255
TUNNEL = "SPDY/3.1+portforward.k8s.io"


class WebSocketClient:
    """Messages by channel; `text` for the base64 protocols. With no channels, all that comes is in `inboxes[-1]`."""

    def __init__(self, transport: ByteStream, first: bytes, *, channels: bool, text: bool) -> None:
        self.protocol = Protocol(Side.CLIENT, max_size=None)
        self.transport = transport
        self.inboxes: dict[int, Inbox] = {}
        self.gone = anyio.Event()
        self.pongs = 0
        self._first = first
        self._channels = channels
        self._text = text
        self._sending = anyio.Lock()

    def inbox(self, channel: int) -> Inbox:
        return self.inboxes.setdefault(channel, Inbox())

    async def run(self) -> None:
        data = self._first
        try:
            while True:
                self.protocol.receive_data(data)
                for frame in self.protocol.events_received():
                    assert isinstance(frame, Frame)
                    if frame.opcode in {Opcode.TEXT, Opcode.BINARY}:
                        assert frame.fin
                        assert (frame.opcode is Opcode.TEXT) == self._text
                        await self._message(bytes(frame.data))
                    self.pongs += frame.opcode is Opcode.PONG
                if not self._sending.locked():  # who sends may wait for the server, and must not hold up what we read
                    await self.flush()
                data = await self.transport.receive()
        except _LOST:
            pass
        finally:
            self.protocol.receive_eof()
            self.gone.set()
            for inbox in self.inboxes.values():
                inbox.end()

    async def _message(self, data: bytes) -> None:
        if not self._channels:
            await self.inbox(-1).put(data)
        elif self._text:
            await self.inbox(int(data[:1])).put(base64.b64decode(data[1:], validate=True))
        else:
            await self.inbox(data[0]).put(data[1:])

    async def send(self, channel: int, data: bytes) -> None:
        async with self._sending:
            if self._text:
                self.protocol.send_text(str(channel).encode() + base64.b64encode(data))
            else:
                self.protocol.send_binary(bytes([channel]) + data)
            await self._write()

    async def send_raw(self, data: bytes) -> None:
        async with self._sending:
            self.protocol.send_binary(data)
            await self._write()

    async def ping(self) -> None:
        self.protocol.send_ping(b"ping")
        await self.flush()

    async def close(self) -> None:
        if self.protocol.state is State.OPEN:
            self.protocol.send_close(1000)
            await self.flush()

    async def flush(self) -> None:
        async with self._sending:
            await self._write()

    async def _write(self) -> None:
        if data := b"".join(self.protocol.data_to_send()):
            await self.transport.send(data)


@asynccontextmanager
async def websocket_client(
    url: str, *protocols: str, channels: bool = True
) -> AsyncIterator[tuple[WebSocketClient, str]]:
    """A socket at `url`, and the protocol chosen; "" for none. Raises Refused."""
    key = base64.b64encode(os.urandom(16)).decode()
    headers = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    named = [("Sec-WebSocket-Protocol", ", ".join(protocols))] if protocols else []
    async with await dial(url) as transport:
        answer, first = await upgrade(transport, url, [*headers, *named, ("Sec-WebSocket-Key", key)], "GET")
        protocol = answer.get("sec-websocket-protocol", "")
        client = WebSocketClient(transport, first, channels=channels, text="base64" in protocol)
        for channel in range(16) if channels else [-1]:
            client.inbox(channel)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.run)
            yield client, protocol
            tasks.cancel_scope.cancel()


class WebSocketCommand(CommandSession):
    """A command over WebSocket."""

    def __init__(self, client: WebSocketClient, protocol: str) -> None:
        super().__init__()
        self.client = client
        self.protocol = protocol
        self.inboxes = {name: client.inbox(channel) for name, channel in _CHANNELS.items()}

    async def write(self, stream: str, data: bytes) -> None:
        await self.client.send(_CHANNELS[stream], data)

    async def end_stdin(self) -> None:
        assert self.protocol.startswith("v5"), "only v5 can end stdin"
        await self.client.send_raw(bytes([_CLOSE, _CHANNELS[STDIN]]))


@asynccontextmanager
async def websocket_command(url: str, *protocols: str) -> AsyncIterator[WebSocketCommand]:
    """A session of exec or attach at `url`; a client that names no protocol gets the first there was."""
    async with websocket_client(url, *protocols) as (client, protocol):
        yield WebSocketCommand(client, protocol)


class Tunnel(ByteStream):
    """Bytes in binary messages."""

    def __init__(self, client: WebSocketClient) -> None:
        self.client = client

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self.client.inboxes[-1].receive(max_bytes)

    async def send(self, item: bytes) -> None:
        await self.client.send_raw(item)

    async def send_eof(self) -> None:
        await self.client.close()

    async def aclose(self) -> None:
        await self.client.close()


@asynccontextmanager
async def tunnelled_ports(url: str) -> AsyncIterator[SpdyPorts]:
    """A session of port-forward at `url`, SPDY in WebSocket, as kubectl speaks it."""
    async with websocket_client(url, TUNNEL, channels=False) as (client, protocol):
        assert protocol == TUNNEL
        spdy = SpdyClient(Tunnel(client))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(spdy.run)
            yield SpdyPorts(spdy)
            tasks.cancel_scope.cancel()


class PortChannels(ByteStream):
    """One of the request's ports, in a pair of channels; `port` is what the server says of it."""

    def __init__(self, client: WebSocketClient, number: int) -> None:
        self.port = 0
        self._client = client
        self._data, self._error = 2 * number, 2 * number + 1

    async def open(self) -> None:
        """Read which port it is, on both channels."""
        ports: list[int] = []
        for channel in (self._data, self._error):
            head = b""
            while len(head) < 2:
                head += await self._client.inboxes[channel].receive(2 - len(head))
            ports += unpack("<H", head)
        assert ports[0] == ports[1]
        self.port = ports[0]

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._client.inboxes[self._data].receive(max_bytes)

    async def send(self, item: bytes) -> None:
        await self._client.send(self._data, item)

    async def send_eof(self) -> None:
        raise NotImplementedError("only the whole session can be ended")

    async def aclose(self) -> None:
        await self._client.close()

    async def error_text(self) -> str:
        """All that the error channel says, in the end."""
        found = b""
        try:
            while True:
                found += await self._client.inboxes[self._error].receive()
        except anyio.EndOfStream:
            return found.decode()


@asynccontextmanager
async def channel_ports(url: str, count: int, *protocols: str) -> AsyncIterator[list[PortChannels]]:
    """A session of port-forward at `url`, whose request names `count` ports."""
    async with websocket_client(url, *protocols) as (client, _):
        ports = [PortChannels(client, number) for number in range(count)]
        for port in ports:
            await port.open()
        yield ports
