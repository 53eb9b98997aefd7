"""HTTP/2 as it passes by: where its frames end, and which calls its headers begin. No I/O.

Only what has to be looked at is held until it is whole; everything else goes on as it came.
Source: RFC 9113, sections 3.4, 4.1 and 6.2; RFC 7541 for the header blocks, whose state spans a connection.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, cast

from hpack import Decoder
from hpack.exceptions import HPACKError
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import Frame as Parsed

from cri_shim.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hyperframe.frame import ContinuationFrame, HeadersFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_SETTINGS = bytes.fromhex("000000040000000000")  # a SETTINGS frame that leaves everything as it is by default

LONGEST_FRAME = 1 << 14  # SETTINGS_MAX_FRAME_SIZE of a connection on which nobody has raised it
_LARGEST_TABLE = 1 << 16  # bytes of header table that a server may allow its client
_LONGEST_BLOCK = 1 << 20
_LONGEST_GREETING = 1 << 16  # bytes before the first call; preface and settings have about a hundred
_MOST_KNOWN = 256
_INDEXED, _LONG_INDEX = 0x80, 0xFF  # between them, a byte is a whole field: RFC 7541, section 6.1
_HEADER = struct.Struct(">BHBBL")  # length (8 + 16 bits), type, flags, stream
_STREAM = 0x7FFFFFFF  # without the reserved bit


class Kind(IntEnum):
    """Types of frames that matter to one who stands between."""

    DATA = 0
    HEADERS = 1
    SETTINGS = 4
    PUSH_PROMISE = 5
    CONTINUATION = 9


class Flag(IntFlag):
    """Flags of such frames."""

    ACK = 0x1
    END_HEADERS = 0x4
    PADDED = 0x8
    PRIORITY = 0x20


HEADERS = frozenset({Kind.HEADERS, Kind.CONTINUATION})
_WITH_HEADERS = HEADERS | {Kind.PUSH_PROMISE}


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame; `raw` has its header, too."""

    kind: int
    flags: int
    stream: int
    raw: bytes


class FrameCutter:
    """Cuts one direction of a connection, after the preface, at the frames of the `watched` kinds.

    `watched` None watches every kind. It may change at any time, for the frames that begin after it.
    """

    def __init__(self, watched: frozenset[Kind] | None) -> None:
        self.watched = watched
        self._held = b""
        self._left = 0  # bytes to come of a frame that passes
        self._in_headers = False

    @property
    def between_frames(self) -> bool:
        """Whether a frame of somebody else's may be put in after what has been cut so far."""
        return not self._left and not self._in_headers

    def cut(self, data: bytes) -> Iterator[bytes | Frame]:
        """`data` in pieces: bytes that pass, and the frames that are watched. What is not whole comes next time.

        Raises InvalidArgument for a watched frame that is longer than frames are.
        """
        data = self._held + data if self._held else data
        start = at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                at, self._left = at + step, self._left - step
                continue
            if len(data) - at < _HEADER.size:
                break
            high, low, kind, flags, stream = _HEADER.unpack_from(data, at)
            size = _HEADER.size + (high << 16 | low)
            if self.watched is not None and kind not in self.watched:
                self._begin(kind, flags)
                self._left = size
                continue
            if size > _HEADER.size + LONGEST_FRAME:
                raise InvalidArgument(f"an HTTP/2 frame of {size} bytes: {LONGEST_FRAME} is the longest allowed")
            if at + size > len(data):
                break
            if at > start:
                yield data[start:at]
            self._begin(kind, flags)
            start = at = at + size
            yield Frame(kind, flags, stream & _STREAM, data[at - size : at])
        if at > start:
            yield data[start:at]
        self._held = data[at:]

    def _begin(self, kind: int, flags: int) -> None:
        if kind in _WITH_HEADERS:
            self._in_headers = not flags & Flag.END_HEADERS


def _decoder() -> Decoder:
    decoder = Decoder()
    decoder.max_allowed_table_size = _LARGEST_TABLE
    return decoder


@dataclass(slots=True)
class CallReader:
    """Reads from a client's HEADERS and CONTINUATION frames, all of them in turn, which calls they begin."""

    _decoder: Decoder = field(default_factory=_decoder)
    _block: bytes = b""
    _known: dict[bytes, str] = field(default_factory=dict)  # blocks of mere references into the table as it stands

    def path(self, frame: Frame) -> str | None:
        """The path of the call whose headers end with `frame`: None while they don't, "" for what begins no call.

        Raises InvalidArgument for headers that can't be read.
        """
        try:
            self._block += _fragment(frame)
            if len(self._block) > _LONGEST_BLOCK:
                raise InvalidArgument(f"the headers of a call have more than {_LONGEST_BLOCK} bytes")
            if not frame.flags & Flag.END_HEADERS:
                return None
            block, self._block = self._block, b""
            known = self._known.get(block)
            return self._read(block) if known is None else known
        except (HPACKError, HyperframeError, ValueError) as error:
            raise InvalidArgument(f"headers that are not HTTP/2's: {error}") from error

    def _read(self, block: bytes) -> str:
        headers = self._decoder.decode(block, raw=True)
        path = next((value.decode("latin-1") for name, value in headers if name == b":path"), "")
        of_references = all(_INDEXED <= byte < _LONG_INDEX for byte in block)
        if not of_references or len(self._known) == _MOST_KNOWN:
            self._known.clear()  # the table may have changed
        if of_references:
            self._known[block] = path
        return path


def _fragment(frame: Frame) -> bytes:
    """The part of a header block that a frame has, without padding and priority."""
    if not frame.flags & (Flag.PADDED | Flag.PRIORITY):
        return frame.raw[_HEADER.size :]
    parsed, _ = Parsed.parse_frame_header(memoryview(frame.raw[: _HEADER.size]))
    parsed.parse_body(memoryview(frame.raw[_HEADER.size :]))
    return bytes(cast("HeadersFrame | ContinuationFrame", parsed).data)


def first_path(data: bytes) -> str | None:
    """The path of the first call of a connection that begins with `data`; None while it is not to be seen yet.

    Raises InvalidArgument when this is no HTTP/2.
    """
    if not data.startswith(PREFACE[: len(data)]):
        raise InvalidArgument("a connection that does not begin as HTTP/2 does: gRPC is served here")
    calls = CallReader()
    for piece in FrameCutter(HEADERS).cut(data[len(PREFACE) :]):
        if isinstance(piece, Frame) and (path := calls.path(piece)) is not None:
            return path
    if len(data) > _LONGEST_GREETING:
        raise InvalidArgument(f"a connection that begins no call within {_LONGEST_GREETING} bytes")
    return None


def is_cri(path: str) -> bool:
    """Whether a call is of the CRI, in whatever version."""
    return path.startswith("/runtime.v1")
