"""Header blocks: names and values, deflated through one zlib stream a direction for the life of the connection.

Each block ends in a sync flush, so that it can be inflated alone, but only after all those before it: a block is read
even where nobody wants it. Source: section 2.6.10; a value with NULs is several values.
"""

from __future__ import annotations

import zlib
from struct import pack, unpack_from
from typing import TYPE_CHECKING, TypeAlias

from cri_shim.streaming.spdy.dictionary import DICTIONARY
from cri_shim.streaming.spdy.faults import RemoteFault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cri_shim.streaming.spdy.limits import Limits

Headers: TypeAlias = tuple[tuple[str, str], ...]
_LENGTH_BYTES = 4


class HeaderDeflater:
    """Our direction."""

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(zdict=DICTIONARY)

    def block(self, headers: Iterable[tuple[str, str]]) -> bytes:
        """The next block; names are sent in lower case, as they must be."""
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers]
        flat = [pack(">I", len(pairs)), *(pack(">I", len(text)) + text for pair in pairs for text in pair)]
        return self._zlib.compress(b"".join(flat)) + self._zlib.flush(zlib.Z_SYNC_FLUSH)


class HeaderInflater:
    """The peer's direction."""

    def __init__(self, limits: Limits) -> None:
        self._zlib = zlib.decompressobj(zdict=DICTIONARY)
        self._limits = limits

    def headers(self, block: bytes) -> Headers:
        """The headers in the peer's next block, names in lower case. Raises RemoteFault for one that can't be read."""
        limit = self._limits.header_block_bytes
        try:
            flat = self._zlib.decompress(block, limit + 1)
        except zlib.error as error:
            raise RemoteFault(f"a header block can't be inflated: {error}") from error
        if len(flat) > limit:
            raise RemoteFault(f"a header block inflates to more than {limit} bytes")
        if self._zlib.eof:
            raise RemoteFault("a header block ends the stream of compressed headers")
        return _parsed(flat, self._limits)


def _parsed(flat: bytes, limits: Limits) -> Headers:
    count, at = _number(flat, 0)
    if count > limits.headers:
        raise RemoteFault(f"{count} headers in a block, more than {limits.headers}")
    headers = []
    for _ in range(count):
        name, at = _text(flat, at)
        value, at = _text(flat, at)
        headers.append((name.lower(), value))
    if at != len(flat):
        raise RemoteFault(f"{len(flat) - at} bytes after the last header of a block")
    return tuple(headers)


def _number(flat: bytes, at: int) -> tuple[int, int]:
    if at + _LENGTH_BYTES > len(flat):
        raise RemoteFault("a header block ends too soon")
    return unpack_from(">I", flat, at)[0], at + _LENGTH_BYTES


def _text(flat: bytes, at: int) -> tuple[str, int]:
    length, at = _number(flat, at)
    if at + length > len(flat):
        raise RemoteFault("a header block ends too soon")
    return flat[at : at + length].decode("utf-8", "replace"), at + length
