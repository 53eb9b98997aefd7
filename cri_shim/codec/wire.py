"""protobuf's wire format, below the messages: varints out and in, unknown fields stepped over, malformed input refused.

The compiled encoders and decoders do the common case (one byte) inline, and call here for the rest. What is refused is
what protobuf's own C library (upb) refuses: the limits on varints, tags, lengths and nesting are its limits.

Every reader takes the buffer, a position and the end of the message it reads for, and never looks at a byte at or
beyond that end. (The inline code may *look* at the one byte at the end, for which `cri_shim.codec` pads its buffer, but
refuses the message before it uses it.)

Source: protobuf.dev, "Encoding"; its 64-bit varints are at most ten bytes, tags and lengths at most five.
"""

from __future__ import annotations

from functools import cache

from cri_shim.codec import schema
from cri_shim.errors import InvalidArgument

RECURSION_LIMIT = 100
"""How deep messages and groups may be nested: protobuf's default in all its languages."""

SMALL = 0x80
"""A varint, or a length, below this takes one byte."""

_TAG_BYTES = _LENGTH_BYTES = 5
_VARINT_BYTES = 10
_MASK32, _MASK64 = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF
_SIGN32, _SIGN64 = 1 << 31, 1 << 63
_WHOLE32, _WHOLE64 = 1 << 32, 1 << 64
_NANOSECONDS = 1 << 56


# Out.


def varint(value: int) -> bytes:
    """`value`, from 0 to 2⁶⁴-1, as a varint."""
    if _NANOSECONDS <= value < _SIGN64:  # nine bytes: what a time in nanoseconds since 1970 takes
        return bytes(
            (
                value & 127 | 128,
                value >> 7 & 127 | 128,
                value >> 14 & 127 | 128,
                value >> 21 & 127 | 128,
                value >> 28 & 127 | 128,
                value >> 35 & 127 | 128,
                value >> 42 & 127 | 128,
                value >> 49 & 127 | 128,
                value >> 56,
            )
        )
    out = bytearray()
    while value >= SMALL:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def int32(value: int) -> bytes:
    """A signed 32-bit number: a negative one takes ten bytes. OverflowError when it has more bits."""
    if not -_SIGN32 <= value < _SIGN32:
        raise OverflowError(f"{value} is out of range for a signed 32-bit field")
    return varint(value & _MASK64)


def int64(value: int) -> bytes:
    """A signed 64-bit number: a negative one takes ten bytes. OverflowError when it has more bits."""
    if not -_SIGN64 <= value < _SIGN64:
        raise OverflowError(f"{value} is out of range for a signed 64-bit field")
    return varint(value & _MASK64)


def uint32(value: int) -> bytes:
    """An unsigned 32-bit number. OverflowError when it is negative or has more bits."""
    if not 0 <= value <= _MASK32:
        raise OverflowError(f"{value} is out of range for an unsigned 32-bit field")
    return varint(value)


def uint64(value: int) -> bytes:
    """An unsigned 64-bit number. OverflowError when it is negative or has more bits."""
    if not 0 <= value <= _MASK64:
        raise OverflowError(f"{value} is out of range for an unsigned 64-bit field")
    return varint(value)


def sint32(value: int) -> bytes:
    """A signed 32-bit number in zigzag: 0, -1, 1, -2 … OverflowError when it has more bits."""
    if not -_SIGN32 <= value < _SIGN32:
        raise OverflowError(f"{value} is out of range for a signed 32-bit field")
    return varint(value << 1 if value >= 0 else ~(value << 1))


def sint64(value: int) -> bytes:
    """A signed 64-bit number in zigzag. OverflowError when it has more bits."""
    if not -_SIGN64 <= value < _SIGN64:
        raise OverflowError(f"{value} is out of range for a signed 64-bit field")
    return varint(value << 1 if value >= 0 else ~(value << 1))


ONE_BYTE = tuple(bytes((value,)) for value in range(SMALL))
"""The varint of each number below `SMALL`."""


@cache
def heads(tag: int) -> tuple[bytes, ...]:
    """For each length below `SMALL`, `tag` and that length: how a length-delimited field begins. Shared by classes."""
    return tuple(varint(tag) + length for length in ONE_BYTE)


# In.


def read_varint(data: bytes, pos: int, end: int, name: str) -> tuple[int, int]:
    """The varint at `pos`, its low 64 bits unsigned, and the position after it. InvalidArgument: cut off, over-long."""
    value, shift, start = 0, 0, pos
    for byte in data[pos : min(end, pos + _VARINT_BYTES)]:
        pos += 1
        value |= (byte & 127) << shift
        if byte < SMALL:
            return value & _MASK64, pos
        shift += 7
    raise _unended(name, start, pos, "a varint", _VARINT_BYTES)


def read_int32(data: bytes, pos: int, end: int, name: str) -> tuple[int, int]:
    """As `read_varint`; its low 32 bits, signed."""
    value, pos = read_varint(data, pos, end, name)
    value &= _MASK32
    return (value if value < _SIGN32 else value - _WHOLE32), pos


def read_int64(data: bytes, pos: int, end: int, name: str) -> tuple[int, int]:
    """As `read_varint`; signed."""
    value, pos = read_varint(data, pos, end, name)
    return (value if value < _SIGN64 else value - _WHOLE64), pos


def read_uint32(data: bytes, pos: int, end: int, name: str) -> tuple[int, int]:
    """As `read_varint`; its low 32 bits."""
    value, pos = read_varint(data, pos, end, name)
    return value & _MASK32, pos


def read_tag(data: bytes, pos: int, end: int, name: str) -> tuple[int, int]:
    """A field's number and wire type as one integer, and the position after it. InvalidArgument: not a 32-bit one."""
    return _read_short(data, pos, end, name, "a tag", _TAG_BYTES, _MASK32)


def read_length(data: bytes, pos: int, end: int, name: str) -> tuple[int, int]:
    """A length, and the position after it. InvalidArgument: not a 31-bit one."""
    return _read_short(data, pos, end, name, "a length", _LENGTH_BYTES, _SIGN32 - 1)


def _read_short(data: bytes, pos: int, end: int, name: str, what: str, most: int, highest: int) -> tuple[int, int]:
    value, shift, start = 0, 0, pos
    for byte in data[pos : min(end, pos + most)]:
        pos += 1
        value |= (byte & 127) << shift
        if byte < SMALL:
            if value > highest:
                raise malformed(name, start, f"{what} of {value}, above {highest}")
            return value, pos
        shift += 7
    raise _unended(name, start, pos, what, most)


def skip(tag: int, data: bytes, pos: int, end: int, depth: int, name: str) -> int:
    """The position after the field whose `tag` ends at `pos`, a group with all that is in it.

    `depth` is how many more levels may be opened. InvalidArgument: field number 0, a wire type that does not exist, a
    group that is not ended by its own number, nested too deep, or cut off.
    """
    groups: list[int] = []
    while True:
        number, wire_type = tag >> 3, tag & 7
        if not number:
            raise malformed(name, pos, "field number 0")
        if wire_type == schema.GROUP:
            if len(groups) >= depth:
                raise too_deep(name, pos)
            groups.append(number)
        elif wire_type == schema.END_GROUP:
            if not groups or groups.pop() != number:
                raise malformed(name, pos, f"the end of group {number}, which is not open")
        else:
            pos = _skip_value(wire_type, data, pos, end, name)
        if not groups:
            return pos
        tag, pos = read_tag(data, pos, end, name)


def _skip_value(wire_type: int, data: bytes, pos: int, end: int, name: str) -> int:
    start = pos
    match wire_type:
        case schema.VARINT:
            return read_varint(data, pos, end, name)[1]
        case schema.FIXED64:
            pos += 8
        case schema.DELIMITED:
            length, pos = read_length(data, pos, end, name)
            pos += length
        case schema.FIXED32:
            pos += 4
        case _:
            raise malformed(name, start, f"wire type {wire_type}, which does not exist")
    if pos > end:
        raise truncated(name, start)
    return pos


# Refused.


def malformed(name: str, offset: int, what: str) -> InvalidArgument:
    """The error for bytes that are no `name`, with the offset in the whole input at which that shows."""
    return InvalidArgument(f"malformed {name}: {what} at byte {offset}; send a protobuf message of that type")


def truncated(name: str, offset: int) -> InvalidArgument:
    """The error for a value that goes on beyond the message it is in."""
    return malformed(name, offset, "the message ends inside the value that begins")


def too_deep(name: str, offset: int) -> InvalidArgument:
    """The error for nesting beyond `RECURSION_LIMIT`."""
    return malformed(name, offset, f"messages nested more than {RECURSION_LIMIT} deep")


def _unended(name: str, start: int, pos: int, what: str, most: int) -> InvalidArgument:
    if pos - start == most:
        return malformed(name, start, f"{what} of more than {most} bytes")
    return truncated(name, start)
