"""Exec and attach over WebSocket: each message begins with the number of its channel.

In the base64 protocols that number is a digit, outside of the base64. Source: k8s.io/streaming's `wsstream`, and
`remotecommand/websocket.go` for the channels, for the empty message that says that all is ready, and, since v5, for the
message with which a client ends its stdin.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from cri_shim.streaming.client_streams import ClientStreams
from cri_shim.streaming.inbox import Inbox
from cri_shim.streaming.lost import LOST
from cri_shim.streaming.remote_command import Client, perform
from cri_shim.streaming.resizes import Resizes
from cri_shim.streaming.websocket_channels import ChannelSocket
from cri_shim.streaming.websocket_session import Misuse

if TYPE_CHECKING:
    from cri_shim.cri.remote_streams import RemoteRuntime
    from cri_shim.streaming.protocols import Channels
    from cri_shim.streaming.remote_command import CommandRequest
    from cri_shim.streaming.transport import Transport

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
_CLOSE = 255
_CLOSE_BYTES = 2


async def command_over_websocket(
    transport: Transport, first: bytes, runtime: RemoteRuntime, request: CommandRequest, channels: Channels
) -> None:
    """Serve one command on a connection that has just become a WebSocket; `first` is what came with the request."""
    inboxes = {STDIN: Inbox()} if request.stdin else {}
    if request.tty:
        inboxes[RESIZE] = Inbox()

    def closed(message: bytes) -> None:
        if len(message) != _CLOSE_BYTES:
            raise Misuse(f"a close signal of {len(message)} bytes, not {_CLOSE_BYTES}")
        if inbox := inboxes.get(message[1]):
            inbox.end()

    signals = {_CLOSE: closed} if channels.version.closes else {}
    socket = ChannelSocket(transport, inboxes, text=channels.base64, signals=signals)
    gone = anyio.Event()

    async def read() -> None:
        await transport.reading(socket.run, first)
        socket.lost()
        gone.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        resizes = Resizes() if request.tty else None
        if resizes is not None:
            tasks.start_soon(resizes.read_from, inboxes[RESIZE])
        streams = ClientStreams(
            error=socket.output(ERROR),
            stdin=inboxes.get(STDIN),
            stdout=socket.output(STDOUT) if request.stdout else None,
            stderr=socket.output(STDERR) if request.stderr else None,
            resizes=resizes,
        )
        with suppress(*LOST):
            await (streams.stdout or streams.stderr or streams.error).send(b"")
        await perform(runtime, request, Client(streams, channels.version, gone, tasks))
        await socket.close()
        await transport.linger(gone)
        tasks.cancel_scope.cancel()
