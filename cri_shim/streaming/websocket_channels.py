"""Numbered channels in a WebSocket: the first byte of a message says whose the rest is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from anyio.abc import ByteSendStream

from cri_shim.streaming.websocket_session import WebSocket, decoded, encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anyio.abc import ByteStream

    from cri_shim.streaming.inbox import Inbox

_MESSAGE_BYTES = 64 << 10  # of ours: channels get their turn after each
_DIGIT_ZERO = ord("0")


class ChannelSocket:
    """A socket whose messages go to the `inboxes` of their channels; others are passed over, as in Kubernetes.

    `signals` take whole messages of channels that carry no bytes.
    """

    def __init__(
        self,
        transport: ByteStream,
        inboxes: Mapping[int, Inbox],
        *,
        text: bool,
        signals: Mapping[int, Callable[[bytes], None]] | None = None,
    ) -> None:
        self._socket = WebSocket(transport, self._received, text=text)
        self._inboxes = inboxes
        self._text = text
        self._signals = signals or {}

    async def run(self, first: bytes) -> None:
        """Read until the client has closed or is gone; then it is `lost`."""
        await self._socket.run(first)

    def lost(self) -> None:
        """The client is gone: readers come to their end."""
        for inbox in self._inboxes.values():
            inbox.end()

    async def send(self, channel: int, data: bytes) -> None:
        """Send on a channel."""
        if self._text:
            await self._socket.send(bytes([_DIGIT_ZERO + channel]) + encoded(data))
        else:
            await self._socket.send(bytes([channel]) + data)

    async def close(self) -> None:
        """Say that this was all; nothing of what still comes is wanted."""
        for inbox in self._inboxes.values():
            inbox.close()
        await self._socket.close()

    def output(self, channel: int) -> ChannelOutput:
        """A stream that sends on a channel."""
        return ChannelOutput(self, channel)

    async def _received(self, message: bytes) -> None:
        channel = message[0] - (_DIGIT_ZERO if self._text else 0)
        if signal := self._signals.get(channel):
            signal(message)
        elif inbox := self._inboxes.get(channel):
            await inbox.put(decoded(message[1:]) if self._text else message[1:])


class ChannelOutput(ByteSendStream):
    """Our side of a channel. Its end can't be told: the client learns it with the end of the session."""

    def __init__(self, socket: ChannelSocket, channel: int) -> None:
        self._socket = socket
        self._channel = channel
        self._closed = False

    async def send(self, item: bytes) -> None:
        """Send to the client, waiting while it does not read; an empty message, too, is sent."""
        if self._closed:
            raise anyio.ClosedResourceError
        for at in range(0, len(item) or 1, _MESSAGE_BYTES):
            await self._socket.send(self._channel, item[at : at + _MESSAGE_BYTES])

    async def aclose(self) -> None:
        """Send no more."""
        self._closed = True
