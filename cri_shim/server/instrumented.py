"""What every call needs, around every call: readiness, a log line, metrics, the error's status.

The wrapper takes the service's own method table, so that no RPC can be forgotten: one that has no verb yet answers
Unimplemented, from the generated base, and is logged and counted like the others.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from grpclib.const import Cardinality, Handler, Status

from cri_shim.codec import Encoded, encode
from cri_shim.errors import Unavailable
from cri_shim.observe.metrics import RpcMetrics
from cri_shim.server.failures import failure
from cri_shim.server.fields import fields_of
from cri_shim.server.levels import level_of
from cri_shim.server.transport import check_size, receive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from grpclib._typing import IServable
    from grpclib.server import Stream

log = structlog.get_logger(__name__)

NOT_READY = "server is not initialized yet"
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass
class Gate:
    """Whether calls are let through: not before recovery is done, and not while the server ends."""

    ready: bool = False
    draining: bool = False

    def check(self) -> None:
        """Unavailable while calls are not let through."""
        if self.draining:
            raise Unavailable("server is shutting down")
        if not self.ready:
            raise Unavailable(NOT_READY)


@dataclass(frozen=True)
class Limits:
    """The largest messages, in bytes."""

    receive: int
    send: int


class Instrumented:
    """A service, each of its methods wrapped."""

    def __init__(self, service: IServable, gate: Gate, limits: Limits) -> None:
        self._service = service
        self._gate = gate
        self._limits = limits

    def __mapping__(self) -> dict[str, Handler]:
        """The service's method table, as grpclib's server asks for it."""
        return {route: self._wrapped(route, handler) for route, handler in self._service.__mapping__().items()}

    def _wrapped(self, route: str, handler: Handler) -> Handler:
        rpc = route.rpartition("/")[2]
        method = getattr(self._service, attribute_of(rpc))
        call = _Call(rpc, method, self._gate, self._limits, handler.cardinality is Cardinality.UNARY_STREAM)
        return Handler(call.handle, handler.cardinality, handler.request_type, handler.reply_type)


def attribute_of(rpc: str) -> str:
    """The method for an RPC: `ListPodSandbox` is `list_pod_sandbox`."""
    return _WORD.sub("_", rpc).lower()


def message_classes(services: Iterable[IServable]) -> tuple[list[type], list[type]]:
    """The classes of all requests and of all responses of `services`."""
    handlers = [handler for service in services for handler in service.__mapping__().values()]
    return [handler.request_type for handler in handlers], [handler.reply_type for handler in handlers]


def _past(stream: Stream[Any, Any]) -> bool:
    return stream.deadline is not None and stream.deadline.time_remaining() <= 0


def unimplemented(service: IServable) -> list[str]:
    """The RPCs of `service` that nobody has written yet: those that its generated base answers."""
    names = [route.rpartition("/")[2] for route in service.__mapping__()]
    base = type(service).__mro__[1]
    return sorted(
        name for name in names if getattr(type(service), attribute_of(name)) is getattr(base, attribute_of(name))
    )


class _Call:
    """The handler of one RPC."""

    def __init__(self, rpc: str, method: Callable[[Any], Any], gate: Gate, limits: Limits, streams: bool) -> None:  # noqa: FBT001
        self._rpc = rpc
        self._method = method
        self._gate = gate
        self._limits = limits
        self._streams = streams
        self._level = level_of(rpc)
        self._metrics = RpcMetrics(rpc)

    async def handle(self, stream: Stream[Any, Any]) -> None:
        begin = time.perf_counter()
        status, fields = Status.OK, {}
        self._metrics.began()
        try:
            request = await receive(stream, self._limits.receive)
            fields = fields_of(request)
            self._gate.check()
            if self._streams:
                await self._send_all(stream, request)
            else:
                await stream.send_message(self._sendable(await self._method(request)))
        except BaseException as error:
            found = failure(error, self._rpc, past_deadline=_past(stream))
            status = found.status
            getattr(log, found.level)(found.event, **found.fields, **fields)
            if found.raised is error:
                raise
            raise found.raised from error
        finally:
            seconds = time.perf_counter() - begin
            self._metrics.ended(status, seconds)
            if status is Status.OK:
                self._level(log, self._rpc, ms=round(seconds * 1e3, 2), **fields)

    async def _send_all(self, stream: Stream[Any, Any], request: Any) -> None:
        async for message in self._method(request):
            await stream.send_message(self._sendable(message))

    def _sendable(self, message: Any) -> Encoded[Any]:
        encoded = message if isinstance(message, Encoded) else Encoded(type(message), encode(message))
        check_size("response", len(encoded.data), self._limits.send)
        return encoded
