"""Frames as values, and their bytes. Source: section 2.2 (framing) and 2.6 (control frames).

control  1 | version (15) | type (16)    flags (8) | length (24)    payload
data     0 | stream id (31)              flags (8) | length (24)    payload
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct, pack
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from cri_shim.streaming.spdy.header_block import Headers

VERSION = 3
HEAD_BYTES = 8
CONTROL = 1 << 31
STREAM_ID = CONTROL - 1  # also the largest delta of a window
FLAG_FIN = 1
FLAG_UNIDIRECTIONAL = 2

_HEAD = Struct(">II")
_Deflate: TypeAlias = "Callable[[Headers], bytes]"


class FrameType(IntEnum):
    """The control frames that mean something here; others are passed over, as the draft asks."""

    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    HEADERS = 8
    WINDOW_UPDATE = 9


@dataclass(frozen=True, slots=True)
class Data:
    """Some bytes of a stream: a part of a frame when read, a whole one when written. `fin` is with the last part."""

    stream_id: int
    data: bytes
    fin: bool = False


@dataclass(frozen=True, slots=True)
class SynStream:
    """A stream opens. Priorities are not read: nobody who speaks to us sets them."""

    stream_id: int
    headers: Headers = ()
    fin: bool = False
    unidirectional: bool = False


@dataclass(frozen=True, slots=True)
class SynReply:
    """The other end takes the stream."""

    stream_id: int
    headers: Headers = ()
    fin: bool = False


@dataclass(frozen=True, slots=True)
class MoreHeaders:
    """HEADERS: more of them, for a stream that is open."""

    stream_id: int
    headers: Headers = ()
    fin: bool = False


@dataclass(frozen=True, slots=True)
class RstStream:
    """The stream is over, both ways; `status` is a ResetStatus, or a number that we don't know."""

    stream_id: int
    status: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Values by id; flags (which ask us to store them) are not read."""

    values: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Ping:
    """To be sent back as it is, if it is of the peer's parity."""

    ping_id: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """No more streams; those above `last_stream_id` were not looked at. `status` as in RstStream."""

    last_stream_id: int
    status: int


@dataclass(frozen=True, slots=True)
class WindowUpdate:
    """`delta` bytes more may be sent on the stream, or, with id 0, on the connection."""

    stream_id: int
    delta: int


Frame: TypeAlias = Data | SynStream | SynReply | MoreHeaders | RstStream | Settings | Ping | GoAway | WindowUpdate


def data_head(stream_id: int, length: int, *, fin: bool) -> bytes:
    """The 8 bytes before `length` bytes of data."""
    return _HEAD.pack(stream_id, (FLAG_FIN if fin else 0) << 24 | length)


def serialize(frame: Frame, deflate: _Deflate) -> bytes:  # noqa: PLR0911  (a table)
    """The bytes of `frame`; `deflate` makes the next header block of the connection."""
    match frame:
        case Data(stream_id, data, fin):
            return data_head(stream_id, len(data), fin=fin) + data
        case SynStream(stream_id, headers, fin, unidirectional):
            flags = (FLAG_FIN if fin else 0) | (FLAG_UNIDIRECTIONAL if unidirectional else 0)
            return _control(FrameType.SYN_STREAM, pack(">IIH", stream_id, 0, 0) + deflate(headers), flags)
        case SynReply(stream_id, headers, fin):
            return _control(FrameType.SYN_REPLY, pack(">I", stream_id) + deflate(headers), FLAG_FIN if fin else 0)
        case MoreHeaders(stream_id, headers, fin):
            return _control(FrameType.HEADERS, pack(">I", stream_id) + deflate(headers), FLAG_FIN if fin else 0)
        case RstStream(stream_id, status):
            return _control(FrameType.RST_STREAM, pack(">II", stream_id, status))
        case Settings(values):
            pairs = b"".join(pack(">II", number, value) for number, value in values)
            return _control(FrameType.SETTINGS, pack(">I", len(values)) + pairs)
        case Ping(ping_id):
            return _control(FrameType.PING, pack(">I", ping_id))
        case GoAway(last_stream_id, status):
            return _control(FrameType.GOAWAY, pack(">II", last_stream_id, status))
        case WindowUpdate(stream_id, delta):
            return _control(FrameType.WINDOW_UPDATE, pack(">II", stream_id, delta))


def _control(kind: FrameType, payload: bytes, flags: int = 0) -> bytes:
    return _HEAD.pack(CONTROL | VERSION << 16 | kind, flags << 24 | len(payload)) + payload
