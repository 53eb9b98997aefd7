"""A CRI server in front of another one: it passes calls on, and changes the answers that it is told to change."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from grpclib import GRPCError
from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.const import Cardinality, Handler
from grpclib.server import Server

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import CriCodec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from grpclib.server import Stream

    Lie = Callable[[Any], Any]


class _Relay:
    """One service of the one behind; `lies` are by the names of calls."""

    def __init__(self, service: Any, upstream: Channel, lies: Mapping[str, Lie]) -> None:
        self._handlers = service.__mapping__()
        self._upstream = upstream
        self._lies = lies

    def __mapping__(self) -> dict[str, Handler]:
        return {path: self._handler(path, each) for path, each in self._handlers.items()}

    def _handler(self, path: str, handler: Handler) -> Handler:
        if handler.cardinality is not Cardinality.UNARY_UNARY:
            return handler  # unimplemented
        call: UnaryUnaryMethod[Any, Any] = UnaryUnaryMethod(
            self._upstream, path, handler.request_type, handler.reply_type
        )
        lie = self._lies.get(path.rpartition("/")[2])

        async def relay(stream: Stream[Any, Any]) -> None:
            request = await stream.recv_message()
            answer = await call(request)
            await stream.send_message(lie(answer) if lie else answer)

        return Handler(relay, handler.cardinality, handler.request_type, handler.reply_type)


@asynccontextmanager
async def lying(listen: str, upstream: str, lies: Mapping[str, Lie]) -> AsyncIterator[None]:
    """A server at the socket `listen` before the one at `upstream`, for the length of the block."""
    channel = Channel(path=upstream, codec=CriCodec())
    services = [
        _Relay(cri.RuntimeServiceBase(), channel, lies),
        _Relay(cri.ImageServiceBase(), channel, lies),
    ]
    server = Server(services, codec=CriCodec())
    await server.start(path=listen)
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()
        channel.close()


def refusing(_: Any) -> Any:
    """An answer that is an error instead."""
    from grpclib.const import Status  # noqa: PLC0415

    raise GRPCError(Status.INTERNAL, "a lie")
