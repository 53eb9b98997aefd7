"""WebSocket, the client's end: messages that are received, and bytes in a tunnel of them."""

from __future__ import annotations

import base64
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from anyio.abc import ByteStream
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, State
from websockets.protocol import Side as WebSocketSide

from cri_shim.smoke.check import Failed
from cri_shim.smoke.streams.upgrade import dialled, upgrade
from cri_shim.streaming.inbox import Inbox
from cri_shim.streaming.lost import LOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.smoke.place import Place


class WebSocketClient:
    """The connection; `run` reads it until its end. With `channels`, a message's first byte says whose the rest is."""

    def __init__(self, transport: ByteStream, *, channels: int) -> None:
        self.inboxes = [Inbox() for _ in range(channels or 1)]
        self._channels = channels
        self._protocol = Protocol(WebSocketSide.CLIENT, max_size=None)
        self._transport = transport
        self._sending = anyio.Lock()

    async def run(self, data: bytes) -> None:
        """Read until the server is gone; `data` has been read already."""
        try:
            while True:
                self._protocol.receive_data(data)
                for frame in self._protocol.events_received():
                    if isinstance(frame, Frame) and frame.opcode in {Opcode.TEXT, Opcode.BINARY}:
                        await self._message(bytes(frame.data))
                await self._flush()
                data = await self._transport.receive()
        except LOST:
            return
        finally:
            for inbox in self.inboxes:
                inbox.end()

    async def send(self, data: bytes) -> None:
        """Send a message."""
        self._protocol.send_binary(data)
        await self._flush()

    async def close(self) -> None:
        """Say that this was all."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            await self._flush()

    async def _message(self, data: bytes) -> None:
        if not self._channels:
            await self.inboxes[0].put(data)
        elif data and data[0] < self._channels:
            await self.inboxes[data[0]].put(data[1:])

    async def _flush(self) -> None:
        async with self._sending:
            if data := b"".join(self._protocol.data_to_send()):
                await self._transport.send(data)


class Tunnel(ByteStream):
    """Bytes in binary messages."""

    def __init__(self, client: WebSocketClient) -> None:
        self._client = client

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """As of any stream."""
        return await self._client.inboxes[0].receive(max_bytes)

    async def send(self, item: bytes) -> None:
        """As of any stream."""
        await self._client.send(item)

    async def send_eof(self) -> None:
        """As of any stream; both halves end."""
        await self._client.close()

    async def aclose(self) -> None:
        """As of any stream."""
        await self._client.close()


@asynccontextmanager
async def websocket(place: Place, url: str, protocol: str, *, channels: int) -> AsyncIterator[WebSocketClient]:
    """A socket at `url` that follows `protocol`; with 0 channels messages are bytes of one stream. Raises Refused."""
    headers = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", base64.b64encode(os.urandom(16)).decode()),
        ("Sec-WebSocket-Protocol", protocol),
    ]
    async with dialled(place, url) as transport:
        answered, first = await upgrade(transport, url, "GET", headers)
        if answered.get("sec-websocket-protocol") != protocol:
            raise Failed(f"the protocol {protocol}", str(answered.get("sec-websocket-protocol")))
        client = WebSocketClient(transport, channels=channels)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.run, first)
            yield client
            tasks.cancel_scope.cancel()
