"""The log of the process: lines on standard error, of ours and of the libraries', at the level and in the form set.

`text` is coloured columns on a terminal and logfmt elsewhere, `json` one object a line; the names `time`, `level` and
`msg` are containerd's, so that what reads a node's logs reads these. A line that is written during a call names the
call's pod, container and image, whoever writes it: the wrapper round the calls binds them to structlog's context.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Final, TextIO

import msgspec
import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

LEVELS: Final = {
    "trace": logging.NOTSET,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_FIRST_KEYS: Final = ["time", "level", "msg"]
_CHATTY: Final = {
    "hpack": logging.INFO,  # debugs every byte of every header
    "grpclib.server": logging.WARNING,  # tells of calls given up, as our wrapper does, which knows which call it was
}
_SECRET: Final = frozenset({"auth", "authorization", "identity_token", "password", "registry_token", "token"})


class _Logger(structlog.BoundLoggerBase):
    """The class of all loggers; `set_level` gives it the methods of a level, and those below do nothing."""


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Set up logging for the whole process. `level`: a key of LEVELS; `form`: text or json; `stream`: standard error.

    Libraries that log by the standard library are heard from info on, and below it at trace alone, but for those in
    _CHATTY.
    """
    stream = stream or sys.stderr
    first: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _name_level,
        _redact,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    last = _rendering(form, terminal=stream.isatty())
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=_Logger,
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    _libraries(first, last, stream)
    set_level(level)


def set_level(level: str) -> None:
    """From now on log from `level` on, a key of LEVELS, in loggers that are in use already, too."""
    least = LEVELS[level]
    for name, method in vars(structlog.make_filtering_bound_logger(least)).items():
        if not name.startswith("__"):
            setattr(_Logger, name, method)
    logging.getLogger().setLevel(least if level == "trace" else max(least, logging.INFO))


def trace(logger: Any, event: str, **fields: Any) -> None:
    """Log below debug, a level that structlog has no method for."""
    if logger.is_enabled_for(logging.NOTSET):
        logger.debug(event, level="trace", **fields)


def _name_level(_logger: object, method: str, event: EventDict) -> EventDict:
    event.setdefault("level", method)
    return event


def _redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Keep credentials out of the log, should anybody ever log a field that is one."""
    for name in _SECRET.intersection(event):
        event[name] = "[REDACTED]"
    return event


def _rendering(form: str, *, terminal: bool) -> list[Processor]:
    """The last processors: from an event's fields to its line."""
    if form == "text" and terminal:
        # Without rich's tracebacks: those print local variables, and these may be credentials.
        columns = structlog.dev.ConsoleRenderer(
            timestamp_key="time", exception_formatter=structlog.dev.plain_traceback, sort_keys=False
        )
        return [columns]
    plain: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.EventRenamer("msg")]
    if form == "json":
        return [*plain, structlog.processors.JSONRenderer(_json)]
    return [*plain, structlog.processors.LogfmtRenderer(key_order=_FIRST_KEYS)]


def _json(event: object, **_: object) -> str:
    """The event as JSON; what JSON has no form for is written as `str` has it."""
    return msgspec.json.encode(event, enc_hook=str).decode()


def _libraries(first: list[Processor], last: list[Processor], stream: TextIO) -> None:
    """Bring what libraries log by the standard library, warnings included, into the same lines."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=first, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.captureWarnings(capture=True)
    logging.basicConfig(handlers=[handler], force=True)
    for name, least in _CHATTY.items():
        logging.getLogger(name).setLevel(least)
