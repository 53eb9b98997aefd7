"""What a connection tells of the peer's frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from cri_shim.streaming.spdy.header_block import Headers


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The peer has opened a stream: reply to it, or reset it. Its data may follow at once."""

    stream_id: int
    headers: Headers


@dataclass(frozen=True, slots=True)
class StreamReplied:
    """The peer has taken a stream of ours."""

    stream_id: int
    headers: Headers


@dataclass(frozen=True, slots=True)
class DataReceived:
    """Bytes of a stream. Say `Connection.read` when they have been used, so that the peer may send as many again."""

    stream_id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The peer sends no more on the stream; we may."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The stream is over, both ways: the peer's choice, or the answer to a fault of its."""

    stream_id: int
    status: int


@dataclass(frozen=True, slots=True)
class WindowOpened:
    """There may be room to send on a stream again; id 0: on all of them."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class GoneAway:
    """The peer takes and opens no more streams; those that are open go on."""

    last_stream_id: int
    status: int


Event: TypeAlias = StreamOpened | StreamReplied | DataReceived | StreamEnded | StreamReset | WindowOpened | GoneAway
