"""What every call needs, around every call: readiness, log lines, metrics, a span, the error's status.

The wrapper takes the service's own method table, so that no RPC can be forgotten: one that has no verb yet answers
Unimplemented, from the generated base, and is logged and counted like the others.
"""

from __future__ import annotations

import re
import time
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from anyio import CancelScope
from grpclib.const import Cardinality, Handler, Status
from structlog.contextvars import bind_contextvars

from cri_shim.codec import Encoded, encode
from cri_shim.errors import Unavailable
from cri_shim.observe.metrics import RpcMetrics
from cri_shim.observe.tracing import call_ended, call_is_about, call_span
from cri_shim.server.failures import failure
from cri_shim.server.fields import fields_of
from cri_shim.server.levels import level_of
from cri_shim.server.transport import check_size, receive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import TypeAlias

    from grpclib._typing import IServable
    from grpclib.server import Stream

    Names: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, str]]

log = structlog.get_logger(__name__)

NOT_READY = "server is not initialized yet"
ENDING = "server is shutting down"
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Gate:
    """Whether calls are let through: not before recovery is done, and not while the server ends."""

    def __init__(self) -> None:
        self.ready = False
        self.draining = False
        self._streams: set[CancelScope] = set()

    def check(self) -> None:
        """Unavailable while calls are not let through."""
        if self.draining:
            raise Unavailable(ENDING)
        if not self.ready:
            raise Unavailable(NOT_READY)

    def shut(self) -> None:
        """Let no more calls through, and end the streams: one of events has no end that could be waited for."""
        self.draining = True
        for scope in self._streams:
            scope.cancel()

    @contextmanager
    def stream(self) -> Iterator[None]:
        """The block sends a stream. Raises Unavailable when the gate shuts meanwhile."""
        with CancelScope() as scope:
            self._streams.add(scope)
            try:
                yield
            finally:
                self._streams.remove(scope)
        if scope.cancelled_caught:
            raise Unavailable(ENDING)


@dataclass(frozen=True)
class Limits:
    """The largest messages, in bytes."""

    receive: int
    send: int


class Instrumented:
    """A service, each of its methods wrapped."""

    def __init__(self, service: IServable, gate: Gate, limits: Limits, names: Names) -> None:
        self._service = service
        self._gate = gate
        self._limits = limits
        self._names = names

    def __mapping__(self) -> dict[str, Handler]:
        """The service's method table, as grpclib's server asks for it."""
        return {route: self._wrapped(route, handler) for route, handler in self._service.__mapping__().items()}

    def _wrapped(self, route: str, handler: Handler) -> Handler:
        method = getattr(self._service, attribute_of(_rpc_of(route)))
        streams = handler.cardinality is Cardinality.UNARY_STREAM
        call = _Call(route, method, self._gate, self._limits, self._names, streams)
        return Handler(call.handle, handler.cardinality, handler.request_type, handler.reply_type)


def _rpc_of(route: str) -> str:
    return route.rpartition("/")[2]


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
    names = [_rpc_of(route) for route in service.__mapping__()]
    base = type(service).__mro__[1]
    return sorted(
        name for name in names if getattr(type(service), attribute_of(name)) is getattr(base, attribute_of(name))
    )


class _Call:
    """The handler of one RPC."""

    def __init__(
        self,
        route: str,
        method: Callable[[Any], Any],
        gate: Gate,
        limits: Limits,
        names: Names,
        streams: bool,  # noqa: FBT001
    ) -> None:
        self._route = route
        self._rpc = _rpc_of(route)
        self._begins = f"{self._rpc} begins"
        self._method = method
        self._gate = gate
        self._limits = limits
        self._names = names
        self._streams = streams
        self._log = level_of(self._rpc)
        self._metrics = RpcMetrics(self._rpc)

    async def handle(self, stream: Stream[Any, Any]) -> None:
        with call_span(self._route, stream.metadata):
            begin = time.perf_counter()
            status, text = Status.OK, ""
            self._metrics.began()
            try:
                await self._answer(stream, await receive(stream, self._limits.receive))
            except BaseException as error:
                found = failure(error, self._rpc, past_deadline=_past(stream))
                status, text = found.status, found.fields.get("error", "")
                getattr(log, found.level)(found.event, **found.fields)
                if found.raised is error:
                    raise
                raise found.raised from error
            finally:
                seconds = time.perf_counter() - begin
                self._metrics.ended(status, seconds)
                call_ended(status, text)
                if status is Status.OK:
                    self._log(log, self._rpc, ms=round(seconds * 1e3, 2))

    async def _answer(self, stream: Stream[Any, Any], request: Any) -> None:
        fields = fields_of(request)
        fields = {**self._names(fields), **fields}
        bind_contextvars(**fields)  # to this call and what it starts: each call is a task of its own
        call_is_about(fields)
        self._gate.check()
        self._log(log, self._begins)
        if self._streams:
            with self._gate.stream():
                async with aclosing(self._method(request)) as messages:
                    async for message in messages:
                        await stream.send_message(self._sendable(message))
        else:
            await stream.send_message(self._sendable(await self._method(request)))

    def _sendable(self, message: Any) -> Encoded[Any]:
        encoded = message if isinstance(message, Encoded) else Encoded(type(message), encode(message))
        check_size("response", len(encoded.data), self._limits.send)
        return encoded
