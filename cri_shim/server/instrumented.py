"""What every call needs, around every call: readiness, a log line, metrics, the error's status.

The wrapper takes the service's own method table, so that no RPC can be forgotten: one that has no verb yet answers
Unimplemented, from the generated base, and is logged and counted like the others.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from cri_shim.codec import Encoded, encode
from cri_shim.errors import CriError, Unavailable
from cri_shim.observe.metrics import RpcMetrics
from cri_shim.server.fields import fields_of
from cri_shim.server.levels import level_of
from cri_shim.server.transport import check_size, receive

if TYPE_CHECKING:
    from collections.abc import Callable

    from grpclib._typing import IServable
    from grpclib.server import Stream

log = structlog.get_logger(__name__)

NOT_READY = "server is not initialized yet"
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_QUERY_VALUE = re.compile(r"([?&][^=&\s\"]+=)[^&\s\"]+")
_IMAGE_CALLS = frozenset({"PullImage", "RemoveImage", "ListImages", "ImageStatus"})


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
        except BaseException as error:  # noqa: BLE001  (it is raised again, as what the client is told)
            status, raised = self._translated(error, fields)
            raise raised from (error if raised is not error else error.__cause__)
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

    def _translated(self, error: BaseException, fields: dict[str, Any]) -> tuple[Status, BaseException]:
        """The status of a failure and the exception that makes grpclib send it, logged at its level."""
        if isinstance(error, (asyncio.CancelledError, StreamTerminatedError)):
            log.info("given up by the client", rpc=self._rpc, **fields)
            return Status.CANCELLED, error  # grpclib answers for it, where anybody still listens
        if isinstance(error, TimeoutError):
            log.info("past the client's deadline", rpc=self._rpc, **fields)
            return Status.DEADLINE_EXCEEDED, error
        if isinstance(error, GRPCError):
            if error.status is not Status.UNIMPLEMENTED:
                log.error(self._rpc, error=error.message, code=error.status.name, **fields)
            text = error.message or f"{self._rpc} is not implemented by this runtime"
            return error.status, GRPCError(error.status, text)
        if isinstance(error, CriError):
            text = self._redacted(str(error) or repr(error))
            level = log.info if error.code in (Status.NOT_FOUND, Status.UNAVAILABLE) else log.error
            level(self._rpc, error=text, code=error.code.name, **fields)
            return error.code, GRPCError(error.code, text)
        if isinstance(error, Exception):
            log.error(self._rpc, exc_info=error, **fields)
            return Status.UNKNOWN, GRPCError(Status.UNKNOWN, self._redacted(f"{type(error).__name__}: {error}"))
        return Status.UNKNOWN, error

    def _redacted(self, text: str) -> str:
        """`text`, for an image call without the values of query parameters: registries put tokens there."""
        return _QUERY_VALUE.sub(r"\1[REDACTED]", text) if self._rpc in _IMAGE_CALLS else text
