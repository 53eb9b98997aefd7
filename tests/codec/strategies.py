"""Hypothesis strategies: messages of any class, and bytes that are nearly messages."""

from __future__ import annotations

import struct
from functools import cache
from typing import Any

from hypothesis import strategies as st

from cri_shim.codec import encode
from cri_shim.codec.schema import Field, Label, Value, fields_of
from cri_shim.codec.wire import varint

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["x" * 127, "x" * 128, "é" * 64]
)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("int32", "sint32", "sfixed32"), st.integers(-(1 << 31), (1 << 31) - 1)),
    **dict.fromkeys(("int64", "sint64", "sfixed64"), st.integers(-(1 << 63), (1 << 63) - 1)),
    **dict.fromkeys(("uint32", "fixed32"), st.integers(0, (1 << 32) - 1)),
    **dict.fromkeys(("uint64", "fixed64"), st.integers(0, (1 << 64) - 1)),
    "double": st.floats(allow_nan=False),
    "float": st.floats(width=32, allow_nan=False),
    "bool": st.booleans(),
    "string": TEXT,
    "bytes": st.binary(max_size=20) | st.just(bytes(200)),
}
SPARSE = 4
"""Of more fields than this, most stay absent: messages nest, and their number grows with every level."""


def values(value: Value) -> st.SearchStrategy[Any]:
    if value.kind == "message":
        return st.deferred(lambda: messages(value.cls))
    if value.kind == "enum":
        unknown = SCALARS["int32"].map(value.cls)
        return st.sampled_from(list(value.cls)) | unknown
    return SCALARS[value.kind]


@cache
def contents(field: Field) -> st.SearchStrategy[Any]:
    """What the field may hold when it is not at its default."""
    one = values(field.value)
    if field.key:
        return st.dictionaries(SCALARS[field.key.kind], one, max_size=3)
    return st.lists(one, max_size=3) if field.label is Label.REPEATED else one


@cache
def messages(cls: Any) -> st.SearchStrategy[Any]:
    """Messages of class `cls`, at most one member of each oneof set."""
    return _messages(cls)


@st.composite
def _messages(draw: st.DrawFn, cls: Any) -> Any:
    fields = fields_of(cls)
    if len(fields) > SPARSE:
        fields = tuple(draw(st.lists(st.sampled_from(fields), unique=True, max_size=SPARSE)))
    given: dict[str, Any] = {}
    groups: set[str] = set()
    for field in fields:
        if field.group not in groups:
            given[field.name] = draw(contents(field))
            groups |= {field.group} if field.group else set()
    return cls(**given)


def tagged(number: int, wire_type: int, body: bytes) -> bytes:
    return varint(number << 3 | wire_type) + body


@cache
def near_messages(cls: Any) -> st.SearchStrategy[bytes]:
    """Bytes that are a message of class `cls`, or were one before something happened to them, or might be one."""
    return _mutated(cls) | soup(tuple(field.number for field in fields_of(cls)))


@st.composite
def _mutated(draw: st.DrawFn, cls: Any) -> bytes:
    data = bytearray(encode(draw(messages(cls))))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 8)))
        data[start:stop] = draw(st.binary(max_size=4) | st.just(bytes(data[start:])) | st.just(bytes(data[:start])))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@st.composite
def soup(draw: st.DrawFn, known: tuple[int, ...], depth: int = 2) -> bytes:
    """Fields with any number and wire type: known ones with a type not theirs, groups, over-long varints, zeros."""
    numbers = st.sampled_from([*known, 0, 1, 2, 15, 16, 1 << 28]) if known else st.integers(0, 20)
    out = b""
    for _ in range(draw(st.integers(0, 4))):
        number, wire_type = draw(numbers), draw(st.sampled_from([0, 0, 1, 2, 2, 2, 3, 4, 5, 6]))
        out += tagged(number, wire_type, draw(_body(number, wire_type, known, depth)))
    return out


def _body(number: int, wire_type: int, known: tuple[int, ...], depth: int) -> st.SearchStrategy[bytes]:
    inner = soup(known, depth - 1) if depth else st.binary(max_size=8)
    match wire_type:
        case 0:
            padded = st.tuples(st.binary(max_size=11), st.integers(0, 127))
            overlong = padded.map(lambda pair: bytes(byte | 0x80 for byte in pair[0]) + bytes((pair[1],)))
            return st.integers(0, (1 << 64) - 1).map(varint) | overlong
        case 1:
            return st.floats().map(lambda value: struct.pack("<d", value))
        case 2:
            plain = inner | st.binary(max_size=8) | TEXT.map(str.encode)
            return st.tuples(plain, st.sampled_from([0, 0, 0, 0, 1, -1])).map(
                lambda pair: varint(max(0, len(pair[0]) + pair[1])) + pair[0]
            )
        case 3:
            ends = st.sampled_from([tagged(number, 4, b"")] * 4 + [tagged(number + 1, 4, b""), b""])
            return st.tuples(inner, ends).map(b"".join)
        case 5:
            return st.floats(width=32, allow_nan=False).map(lambda value: struct.pack("<f", value))
    return st.just(b"")
