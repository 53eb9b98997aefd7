"""What can be wrong with a peer's bytes, and with ours; and the numbers that SPDY has for it."""

from __future__ import annotations

from enum import IntEnum


class ResetStatus(IntEnum):
    """Why a stream is reset. Source: section 2.6.3."""

    PROTOCOL_ERROR = 1
    INVALID_STREAM = 2
    REFUSED_STREAM = 3
    UNSUPPORTED_VERSION = 4
    CANCEL = 5
    INTERNAL_ERROR = 6
    FLOW_CONTROL_ERROR = 7
    STREAM_IN_USE = 8
    STREAM_ALREADY_CLOSED = 9
    INVALID_CREDENTIALS = 10
    FRAME_TOO_LARGE = 11


class GoAwayStatus(IntEnum):
    """Why a connection ends. Source: section 2.6.6."""

    OK = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2


class RemoteFault(Exception):
    """The peer broke the protocol in a way that nothing after it can be trusted: the connection ends.

    `str(error)` says how; `status` is what the peer is told.
    """

    def __init__(self, text: str, status: GoAwayStatus = GoAwayStatus.PROTOCOL_ERROR) -> None:
        super().__init__(text)
        self.status = status


class LocalFault(Exception):
    """We asked for what the protocol does not allow now: data after our own end, a reply to nothing."""
