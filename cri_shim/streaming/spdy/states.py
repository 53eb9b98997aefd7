"""What each end of a stream may send, when.

A stream has two halves, one for each end, and each half has a state of its own; a half moves by what its end sends, and
by nothing else. So there is one table, and no state of both ends together that would have to be kept consistent:

    WAITING  the stream was opened by the other end, and this one has not yet replied
    OPEN     this end may send
    CLOSED   it has sent its FIN, or never was to send (a unidirectional stream)

A stream is over when both halves are CLOSED, or when either end resets it. What is not in the table is a fault: sent by
us, LocalFault; by the peer, a reset with the status in `FAULTS`.
"""

from __future__ import annotations

from enum import Enum, auto

from cri_shim.streaming.spdy.faults import ResetStatus


class Half(Enum):
    """The state of one end's half."""

    WAITING = auto()
    OPEN = auto()
    CLOSED = auto()


class Sent(Enum):
    """What an end sends on a stream that exists."""

    REPLY = auto()
    MORE = auto()  # DATA or HEADERS
    FIN = auto()  # with either of them, or with a reply that came before


TRANSITIONS = {
    (Half.WAITING, Sent.REPLY): Half.OPEN,
    (Half.OPEN, Sent.MORE): Half.OPEN,
    (Half.OPEN, Sent.FIN): Half.CLOSED,
}

FAULTS = {
    (Half.WAITING, Sent.MORE): ResetStatus.PROTOCOL_ERROR,
    (Half.WAITING, Sent.FIN): ResetStatus.PROTOCOL_ERROR,
    (Half.OPEN, Sent.REPLY): ResetStatus.STREAM_IN_USE,
    (Half.CLOSED, Sent.REPLY): ResetStatus.STREAM_IN_USE,
    (Half.CLOSED, Sent.MORE): ResetStatus.STREAM_ALREADY_CLOSED,
    (Half.CLOSED, Sent.FIN): ResetStatus.STREAM_ALREADY_CLOSED,
}


def after(half: Half, *sent: Sent) -> Half | ResetStatus:
    """Where `half` is after its end has sent these, or what is wrong with them."""
    for each in sent:
        if (half, each) not in TRANSITIONS:
            return FAULTS[half, each]
        half = TRANSITIONS[half, each]
    return half
