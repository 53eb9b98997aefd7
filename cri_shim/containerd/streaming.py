"""containerd's streams of messages, which its Transfer service reads and writes beside the call itself."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from grpclib.exceptions import GRPCError, StreamTerminatedError

from cri_shim.api.containerd.services.streaming.v1.streaming_grpc import StreamingStub
from cri_shim.api.containerd.services.streaming.v1.streaming_pb2 import StreamInit
from cri_shim.containerd import typeurl
from cri_shim.containerd.channel import settle
from cri_shim.errors import Unavailable, from_status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from google.protobuf.any_pb2 import Any
    from google.protobuf.message import Message
    from grpclib.client import Stream

    from cri_shim.containerd.channel import Channel


class MessageStream:
    """Our end of an open stream; iterating gives what containerd sends until the stream ends.

    containerd ends one by resetting it, so a reset is an end like any other: what went wrong, if anything did, the
    Transfer that uses the stream tells.
    """

    def __init__(self, id_: str, stream: Stream[Any, Any]) -> None:
        self.id = id_
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for message in self._stream:
                yield message
        except StreamTerminatedError:
            settle(self._stream)
        except GRPCError as error:
            raise from_status(error.status, error.message or "a stream failed without a reason") from error

    async def send(self, message: Message) -> None:
        """Send `message`, wrapped in an Any."""
        await self._stream.send_message(typeurl.pack(message))

    async def end(self) -> None:
        """Say that nothing more will be sent."""
        await self._stream.end()


class Streaming:
    """The service `containerd.services.streaming.v1.Streaming`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stub = StreamingStub(channel.grpc)

    @asynccontextmanager
    async def open(self, purpose: str, *, lease: str | None = None) -> AsyncIterator[MessageStream]:
        """A stream that a Transfer can be told to use by its `id`, which begins with `purpose`; open for the block."""
        id_ = f"{purpose}-{secrets.token_hex(8)}"
        async with self._channel.stay(self._stub.Stream, lease=lease) as stream:
            await stream.send_message(typeurl.pack(StreamInit(id=id_)))
            if await stream.recv_message() is None:  # containerd's word that the id can be used from now on
                raise Unavailable(f"containerd at {self._channel.address} closed the stream {id_} at once")
            yield MessageStream(id_, stream)
