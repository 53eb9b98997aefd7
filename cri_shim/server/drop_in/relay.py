"""One call passed on to containerd as it is: headers, messages, trailers, deadline and cancellation.

Source: gRPC over HTTP/2 (PROTOCOL-HTTP2.md).
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grpclib.client import Channel
from grpclib.config import Configuration
from grpclib.const import Status
from grpclib.exceptions import StreamTerminatedError
from grpclib.metadata import encode_grpc_message
from grpclib.utils import Wrapper
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from grpclib.protocol import H2Protocol, Stream

    Headers = list[tuple[str, str]]

_PREFIX = struct.Struct(">xI")
_WINDOWS = Configuration(http2_connection_window_size=64 << 20, http2_stream_window_size=4 << 20)


class Relay:
    """Calls passed on over a connection of their own, made with the first one."""

    def __init__(self, containerd: str) -> None:
        """`containerd` is the path of its socket."""
        self._path = containerd
        self._channel = Channel(path=containerd, config=_WINDOWS)

    def close(self) -> None:
        """End what is under way."""
        self._channel.close()

    async def call(self, client: Stream, headers: Headers, release: Callable[[], None]) -> None:
        """Answer the call that `client` has begun with `headers` by what containerd answers.

        A call that containerd can't be given, or doesn't finish, is Unavailable.
        """
        call = _Call(client, headers)
        try:
            with suppress(ProtocolError):  # the client's side has ended meanwhile
                try:
                    await call.relay(await self._channel.__connect__())
                except (OSError, StreamTerminatedError) as error:
                    await call.fail(f"containerd at {self._path} can't be reached, or went away: {error}")
        finally:
            if client.closable:
                client.reset_nowait(ErrorCodes.NO_ERROR)
            release()


@dataclass
class _Call:
    client: Stream
    headers: Headers
    begun: bool = False  # to answer

    async def relay(self, connection: H2Protocol) -> None:
        """Raises StreamTerminatedError when containerd ends the call without an answer, or the client can't go on."""
        wrapper = Wrapper()
        containerd = connection.processor.connection.create_stream(wrapper=wrapper)
        with wrapper:
            release = await containerd.send_request(self.headers, _processor=connection.processor)
            requests = asyncio.get_running_loop().create_task(_pass_on_requests(self.client, containerd, wrapper))
            try:
                await self._answer(containerd)
            finally:
                requests.cancel()
                if containerd.closable:
                    containerd.reset_nowait(ErrorCodes.CANCEL)
                release()
                await asyncio.wait([requests])

    async def _answer(self, containerd: Stream) -> None:
        headers = await containerd.recv_headers()
        self.begun = True
        if any(name == "grpc-status" for name, _ in headers):  # an answer of trailers alone
            await self.client.send_headers(headers, end_stream=True)
            return
        await self.client.send_headers(headers)
        await _pass_on(containerd, self.client)
        await self.client.send_headers(await containerd.recv_trailers(), end_stream=True)

    async def fail(self, message: str) -> None:
        beginning = [] if self.begun else [(":status", "200"), ("content-type", "application/grpc")]
        status = [("grpc-status", str(Status.UNAVAILABLE.value)), ("grpc-message", encode_grpc_message(message))]
        await self.client.send_headers([*beginning, *status], end_stream=True)


async def _pass_on_requests(client: Stream, containerd: Stream, wrapper: Wrapper) -> None:
    """All that the client has to say, and that it is all; `wrapper` hears of it when the client breaks off."""
    with suppress(ProtocolError):  # containerd has ended the call: it needs no more
        try:
            await _pass_on(client, containerd)
            await containerd.end()
        except AssertionError:  # so grpclib says it
            wrapper.cancel(StreamTerminatedError("the client ended within a message"))


async def _pass_on(source: Stream, target: Stream) -> None:
    """Pass on messages, as they are, until there are no more."""
    while prefix := await source.recv_data(_PREFIX.size):
        (size,) = _PREFIX.unpack(prefix)
        await target.send_data(prefix + await source.recv_data(size))
