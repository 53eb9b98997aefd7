"""Bytes to frames, whatever pieces they come in."""

from __future__ import annotations

from struct import iter_unpack, unpack, unpack_from
from typing import TYPE_CHECKING

from cri_shim.streaming.spdy.faults import RemoteFault
from cri_shim.streaming.spdy.frames import (
    CONTROL,
    FLAG_FIN,
    FLAG_UNIDIRECTIONAL,
    HEAD_BYTES,
    STREAM_ID,
    VERSION,
    Data,
    FrameType,
    GoAway,
    MoreHeaders,
    Ping,
    RstStream,
    Settings,
    SynReply,
    SynStream,
    WindowUpdate,
)
from cri_shim.streaming.spdy.header_block import HeaderInflater

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cri_shim.streaming.spdy.frames import Frame
    from cri_shim.streaming.spdy.limits import Limits

_LENGTH = (1 << 24) - 1
_FIXED = {  # bytes before the header block, or of the whole payload
    FrameType.SYN_STREAM: 10, FrameType.SYN_REPLY: 4, FrameType.HEADERS: 4, FrameType.RST_STREAM: 8,
    FrameType.SETTINGS: 4, FrameType.PING: 4, FrameType.GOAWAY: 8, FrameType.WINDOW_UPDATE: 8,
}  # fmt: skip
_WITH_HEADERS = frozenset({FrameType.SYN_STREAM, FrameType.SYN_REPLY, FrameType.HEADERS})
_KNOWN = frozenset(_FIXED)


class FrameReader:
    """What has come of the current frame; never more than one control frame and what was just received.

    A DATA frame is passed on piece by piece, so its length binds no memory.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._inflater = HeaderInflater(limits)
        self._buffer = b""
        self._left = 0  # bytes of the current frame's payload that are passed on, or over, as they come
        self._stream_id = 0  # of the current DATA frame; 0 while passing over a frame that is unknown
        self._fin = False

    def frames(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes. Raises RemoteFault, after which the reader is of no use."""
        buffer = self._buffer + data if self._buffer else data
        at = 0
        while True:
            if self._left:
                piece = buffer[at : at + self._left]
                if not piece:
                    break
                at += len(piece)
                self._left -= len(piece)
                if self._stream_id:
                    yield Data(self._stream_id, piece, self._fin and not self._left)
                continue
            taken, frame = self._frame(buffer, at)
            if not taken:
                break
            at += taken
            if frame:
                yield frame
        self._buffer = buffer[at:]

    def _frame(self, buffer: bytes, at: int) -> tuple[int, Frame | None]:
        """The bytes taken, 0 for too few, and the frame that is whole with them."""
        if len(buffer) - at < HEAD_BYTES:
            return 0, None
        first, second = unpack_from(">II", buffer, at)
        flags, length = second >> 24, second & _LENGTH
        if not first & CONTROL:
            return HEAD_BYTES, self._begin_data(first, flags, length)
        version, kind = first >> 16 & 0x7FFF, first & 0xFFFF
        if version != VERSION:
            raise RemoteFault(f"a control frame of SPDY version {version}, not {VERSION}")
        if kind not in _KNOWN:
            self._left, self._stream_id = length, 0
            return HEAD_BYTES, None
        if length > self._limits.control_frame_bytes:
            raise RemoteFault(f"a control frame of {length} bytes, more than {self._limits.control_frame_bytes}")
        end = at + HEAD_BYTES + length
        if len(buffer) < end:
            return 0, None
        return HEAD_BYTES + length, self._control(FrameType(kind), flags, buffer[at + HEAD_BYTES : end])

    def _begin_data(self, stream_id: int, flags: int, length: int) -> Frame | None:
        if not stream_id:
            raise RemoteFault("data on stream 0")
        self._stream_id, self._fin, self._left = stream_id, bool(flags & FLAG_FIN), length
        return None if length else Data(stream_id, b"", self._fin)

    def _control(self, kind: FrameType, flags: int, payload: bytes) -> Frame:
        fixed = _FIXED[kind]
        if len(payload) < fixed or (len(payload) > fixed and kind not in _WITH_HEADERS | {FrameType.SETTINGS}):
            raise RemoteFault(f"a {kind.name} frame of {len(payload)} bytes")
        first = unpack_from(">I", payload)[0]
        if kind in _WITH_HEADERS:
            return self._with_headers(kind, flags, first & STREAM_ID, payload[fixed:])
        if kind is FrameType.SETTINGS:
            return _settings(first, payload[fixed:])
        if kind is FrameType.PING:
            return Ping(first)
        second = unpack(">II", payload)[1]
        if kind is FrameType.RST_STREAM:
            return RstStream(first & STREAM_ID, second)
        if kind is FrameType.GOAWAY:
            return GoAway(first & STREAM_ID, second)
        return WindowUpdate(first & STREAM_ID, second & STREAM_ID)

    def _with_headers(self, kind: FrameType, flags: int, stream_id: int, block: bytes) -> Frame:
        headers, fin = self._inflater.headers(block), bool(flags & FLAG_FIN)
        if kind is FrameType.SYN_STREAM:
            return SynStream(stream_id, headers, fin, bool(flags & FLAG_UNIDIRECTIONAL))
        return (SynReply if kind is FrameType.SYN_REPLY else MoreHeaders)(stream_id, headers, fin)


def _settings(count: int, payload: bytes) -> Settings:
    if len(payload) != count * 8:
        raise RemoteFault(f"a SETTINGS frame of {count} values in {len(payload)} bytes")
    return Settings(tuple((number & 0xFFFFFF, value) for number, value in iter_unpack(">II", payload)))
