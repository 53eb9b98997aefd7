"""Port-forward over WebSocket: SPDY in a tunnel, which kubectl speaks, or a pair of channels for each port.

Of a pair, the first is the connection and the second tells of errors; each begins with the port, so that the client
knows whose it is. Source: k8s.io/streaming's `portforward/websocket.go`; KEP-4006 for the tunnel.
"""

from __future__ import annotations

from contextlib import suppress
from struct import pack
from typing import TYPE_CHECKING

import anyio
from anyio.abc import ByteStream

from cri_shim.streaming import seconds
from cri_shim.streaming.forwarding import forward
from cri_shim.streaming.inbox import Inbox
from cri_shim.streaming.lost import LOST
from cri_shim.streaming.spdy_ports import ports_over_spdy
from cri_shim.streaming.transport import Transport
from cri_shim.streaming.websocket_channels import ChannelSocket
from cri_shim.streaming.websocket_session import WebSocket

if TYPE_CHECKING:
    from cri_shim.api.runtime import v1 as cri
    from cri_shim.cri.remote_streams import RemoteRuntime
    from cri_shim.streaming.protocols import Channels
    from cri_shim.streaming.websocket_channels import ChannelOutput


class _Tunnel(ByteStream):
    """The bytes in binary messages, whatever their borders."""

    def __init__(self, transport: ByteStream) -> None:
        self._inbox = Inbox()
        self._socket = WebSocket(transport, self._inbox.put, text=False)

    async def run(self, transport: Transport, first: bytes) -> None:
        await transport.reading(self._socket.run, first)
        self._inbox.end()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._inbox.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        await self._socket.send(item)

    async def send_eof(self) -> None:
        await self._socket.close()

    async def aclose(self) -> None:
        self._inbox.close()
        await self._socket.close()


async def tunnelled_ports(
    transport: Transport, first: bytes, runtime: RemoteRuntime, request: cri.PortForwardRequest
) -> None:
    """Forward connections over SPDY in a WebSocket until the client is gone."""
    tunnel = _Tunnel(transport)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tunnel.run, transport, first)
        await ports_over_spdy(Transport(tunnel), b"", runtime, request)
        await tunnel.aclose()
        tasks.cancel_scope.cancel()


class _PortStream(ByteStream):
    """One port's connection. A client can't end its side alone: it ends with the session."""

    def __init__(self, inbox: Inbox, output: ChannelOutput) -> None:
        self._inbox = inbox
        self._output = output

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._inbox.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        await self._output.send(item)

    async def send_eof(self) -> None:
        await self._output.aclose()

    async def aclose(self) -> None:
        await self._inbox.aclose()
        await self._output.aclose()


async def ports_over_channels(
    transport: Transport, first: bytes, runtime: RemoteRuntime, request: cri.PortForwardRequest, channels: Channels
) -> None:
    """Forward a connection to each of the request's ports until all have ended, or the client is gone."""
    inboxes = {2 * number: Inbox() for number in range(len(request.port))}
    socket = ChannelSocket(transport, inboxes, text=channels.base64)
    gone = anyio.Event()

    async def read(work: anyio.CancelScope) -> None:
        await transport.reading(socket.run, first)
        socket.lost()
        gone.set()
        work.deadline = anyio.current_time() + seconds.PARTING

    async def one(number: int, port: int) -> None:
        data, error = socket.output(2 * number), socket.output(2 * number + 1)
        with suppress(*LOST):
            for output in (data, error):
                await output.send(pack("<H", port))
            stream = _PortStream(inboxes[2 * number], data)
            if text := await forward(runtime, request.pod_sandbox_id, port, stream):
                await error.send(text.encode())
            await stream.aclose()

    async with anyio.create_task_group() as reading:
        async with anyio.create_task_group() as tasks:
            reading.start_soon(read, tasks.cancel_scope)
            for number, port in enumerate(request.port):
                tasks.start_soon(one, number, port)
        await socket.close()
        await transport.linger(gone)
        reading.cancel_scope.cancel()
