"""What a failed call is answered with, and what the log says of it."""

from __future__ import annotations

import asyncio
import re
import traceback
from dataclasses import dataclass, field
from typing import Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from cri_shim.errors import CriError

_QUERY_VALUE = re.compile(r"([?&][^=&\s\"]+=)[^&\s\"]+")
_IMAGE_CALLS = frozenset({"PullImage", "RemoveImage", "ListImages", "ImageStatus"})
_USUAL = frozenset({Status.NOT_FOUND, Status.UNAVAILABLE, Status.CANCELLED})


@dataclass(frozen=True)
class Failure:
    """The status of a failed call, the exception that makes grpclib send it, and its log line."""

    status: Status
    raised: BaseException
    level: str
    event: str
    fields: dict[str, Any] = field(default_factory=dict)


def failure(error: BaseException, rpc: str, *, past_deadline: bool) -> Failure:
    """What `error`, raised by the call's method, comes to; `past_deadline` tells why a cancelled call was."""
    if isinstance(error, (asyncio.CancelledError, StreamTerminatedError)):
        return _given_up(error, rpc, past_deadline=past_deadline)
    if not isinstance(error, Exception):  # the process ends
        return Failure(Status.UNKNOWN, error, "error", rpc, {"error": repr(error)})
    status, text = _status(error), redacted(_text(error, rpc), rpc)
    fields = {"error": text, "code": status.name}
    if status is Status.UNKNOWN and not isinstance(error, (CriError, GRPCError)):
        fields["stack"] = redacted("".join(traceback.format_exception(error)), rpc)
    return Failure(status, GRPCError(status, text), _level(status), rpc, fields)


def _given_up(error: BaseException, rpc: str, *, past_deadline: bool) -> Failure:
    """Grpclib has cancelled the call, and answers it itself where anybody still listens."""
    if past_deadline:
        return Failure(Status.DEADLINE_EXCEEDED, error, "info", "past the client's deadline", {"rpc": rpc})
    return Failure(Status.CANCELLED, error, "info", "given up by the client", {"rpc": rpc})


def _status(error: Exception) -> Status:
    if isinstance(error, CriError):
        return error.code
    if isinstance(error, GRPCError):
        return error.status
    return Status.DEADLINE_EXCEEDED if isinstance(error, TimeoutError) else Status.UNKNOWN


def _text(error: Exception, rpc: str) -> str:
    """What the client reads: never empty, and for an error that nobody expected, its class, too."""
    if isinstance(error, GRPCError):  # of the generated base
        return error.message or f"{rpc} is not implemented by this runtime"
    if isinstance(error, CriError):
        return str(error) or repr(error)
    if isinstance(error, TimeoutError):
        return str(error) or f"{rpc}: something that it waited for took too long"
    return f"{type(error).__name__}: {error}"


def _level(status: Status) -> str:
    if status is Status.UNIMPLEMENTED:  # a client asks what there is
        return "debug"
    return "info" if status in _USUAL else "error"


def redacted(text: str, rpc: str) -> str:
    """`text`, for an image call without the values of query parameters: registries put tokens there."""
    return _QUERY_VALUE.sub(r"\1[REDACTED]", text) if rpc in _IMAGE_CALLS else text
