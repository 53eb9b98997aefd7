"""grpclib's server with the two limits of containerd's that it lacks.

- Calls at once on a connection: HTTP/2's default of 100 would let the StopContainers of a node being drained hold up
  its lists. containerd (grpc-go) has no limit.
- Message size: grpclib takes what it is sent. The length stands before the message and is refused before any of it is
  read; until then flow control holds it back on the client's side.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from grpclib.config import Configuration
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.protocol import H2Protocol
from grpclib.server import Handler as GrpcHandler
from grpclib.server import Server as GrpcServer
from h2.settings import SettingCodes

from cri_shim.errors import InvalidArgument, ResourceExhausted, Unimplemented
from cri_shim.server.drop_in.entrance import Connections
from cri_shim.server.drop_in.frames import is_cri
from cri_shim.server.drop_in.relay import Relay

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Collection

    from grpclib import protocol
    from grpclib._typing import IServable
    from grpclib.encoding.base import CodecBase
    from grpclib.server import Stream

Q = TypeVar("Q")

CALLS_AT_ONCE = 1 << 20
RELAYED = "relayed call"
_PREFIX = struct.Struct(">BI")  # whether the message is compressed, and its length: gRPC's length-prefixed message

# From Python 3.13 on, a loop removes the file of a socket that it closes; that is systemd's to do, or the listener's.
_KEPT: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}

WINDOWS = Configuration(http2_connection_window_size=64 << 20, http2_stream_window_size=4 << 20)


class _Protocol(H2Protocol):
    """A connection that takes as many calls as come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.connection._connection.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: CALLS_AT_ONCE})  # noqa: SLF001
        self.connection.flush()


class _Calls(GrpcHandler):
    """The calls of a connection: those of the CRI are ours, others are relayed where there is a relay."""

    relay: Relay | None = None

    def accept(
        self, stream: protocol.Stream, headers: list[tuple[str, str]], release_stream: Callable[[], Any]
    ) -> None:
        if self.relay is None or is_cri(dict(headers).get(":path", "")):
            super().accept(stream, headers, release_stream)
            return
        self.__gc_step__()
        call = self.relay.call(stream, headers, release_stream)
        self._tasks[stream] = self.loop.create_task(call, name=RELAYED)


class _Methods(dict[str, Handler]):
    """The methods by path; any other answers Unimplemented in a form that grpc-go takes for it, too.

    What grpclib answers by itself has no content type, and is an Unknown to a kubelet, which then doesn't fall back.
    """

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key) or Handler(_unknown(key), Cardinality.UNARY_UNARY, default, default)


def _unknown(path: str) -> Callable[[Stream[Any, Any]], Awaitable[None]]:
    async def answer(stream: Stream[Any, Any]) -> None:  # noqa: ARG001  (of which nothing is read)
        raise GRPCError(Status.UNIMPLEMENTED, f"unknown method {path}")

    return answer


class Transport(GrpcServer):
    """grpclib's server, with connections and a method table of ours."""

    def __init__(self, handlers: Collection[IServable], *, codec: CodecBase, containerd: str = "") -> None:
        """`containerd` is the path of the socket that calls of other services than the CRI are for; "" refuses them."""
        super().__init__(handlers, codec=codec, config=WINDOWS)
        self._mapping = _Methods(self._mapping)
        self._relay = Relay(containerd) if containerd else None
        self._connections = Connections(containerd, self._protocol_factory) if containerd else None

    async def listen(self, sock: socket.socket) -> None:
        """Serve on a Unix socket that listens already."""
        factory = self._connections.entrance if self._connections else self._protocol_factory
        self._server = await self._loop.create_unix_server(factory, sock=sock, **_KEPT)
        self._server_closed_fut = self._loop.create_future()

    def close(self) -> None:
        """Take no more connections, and end the calls and connections that there are."""
        super().close()
        if self._connections and self._relay:
            self._connections.close()
            self._relay.close()

    async def drain(self, seconds: float) -> None:
        """Take no more connections, and wait until the calls under way have ended, `seconds` at most."""
        if self._server is not None:
            self._server.close()
        calls = [call for handler in self._handlers for call in handler._tasks.values() if not call.done()]  # noqa: SLF001
        if ours := [call for call in calls if call.get_name() != RELAYED]:  # containerd's streams may have no end
            await asyncio.wait(ours, timeout=seconds)

    def _protocol_factory(self) -> H2Protocol:
        self.__gc_step__()
        handler = _Calls(self._mapping, self._codec, self._status_details_codec, self.__dispatch__)
        handler.relay = self._relay
        self._handlers.add(handler)
        return _Protocol(handler, self._config, self._h2_config)


async def receive(stream: Stream[Q, Any], limit: int) -> Q:
    """The request of a unary call. Raises ResourceExhausted above `limit` bytes, Unimplemented for a compressed one,
    InvalidArgument for one that ends early or that the codec refuses.
    """
    raw = stream._stream  # noqa: SLF001  (grpclib's own reading of messages knows no limit)
    compressed, length = _PREFIX.unpack(await _read(raw, _PREFIX.size))
    if compressed:
        raise Unimplemented("the request is compressed: send it without compression")
    check_size("request", length, limit)
    return stream._codec.decode(await _read(raw, length), stream._recv_type)  # type: ignore[no-any-return]  # noqa: SLF001


async def _read(raw: protocol.Stream, size: int) -> bytes:
    """Just `size` bytes. InvalidArgument when the client ends the call before them: an assertion to grpclib."""
    try:
        data = await raw.recv_data(size)
    except AssertionError:
        data = b""
    if len(data) < size:
        raise InvalidArgument("the request ended before its message: a call needs one, whole")
    return data


def check_size(what: str, length: int, limit: int) -> None:
    """ResourceExhausted above `limit` bytes; what it says is how containerd words it."""
    if length > limit:
        raise ResourceExhausted(f"{what} larger than max ({length} vs. {limit})")
