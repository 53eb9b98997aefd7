"""Varints, unknown fields and what is refused, below the messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.codec import wire
from cri_shim.errors import InvalidArgument

UINT64 = st.integers(0, (1 << 64) - 1)
NAME = "Message"


def skipped(data: bytes, depth: int = 100) -> int:
    """Where the one unknown field in `data` ends."""
    tag, pos = wire.read_tag(data, 0, len(data), NAME)
    return wire.skip(tag, data, pos, len(data), depth, NAME)


@given(UINT64)
def test_a_varint_reads_as_it_was_written(value):
    data = wire.varint(value)
    assert wire.read_varint(b"\xff" + data + b"\xff", 1, 1 + len(data), NAME) == (value, 1 + len(data))
    assert len(data) == max(1, -(-value.bit_length() // 7))


@given(st.integers(-(1 << 31), (1 << 31) - 1))
def test_signed_numbers_read_as_they_were_written(value):
    assert wire.read_int32(wire.int32(value), 0, 10, NAME)[0] == value
    assert wire.read_int64(wire.int64(value << 32), 0, 10, NAME)[0] == value << 32


def test_negative_numbers_take_ten_bytes():
    assert wire.int32(-1) == wire.int64(-1) == b"\xff" * 9 + b"\x01"


@pytest.mark.parametrize(
    ("write", "lowest", "highest"),
    [
        (wire.int32, -(1 << 31), (1 << 31) - 1),
        (wire.sint32, -(1 << 31), (1 << 31) - 1),
        (wire.int64, -(1 << 63), (1 << 63) - 1),
        (wire.sint64, -(1 << 63), (1 << 63) - 1),
        (wire.uint32, 0, (1 << 32) - 1),
        (wire.uint64, 0, (1 << 64) - 1),
    ],
)
def test_numbers_beyond_their_type_are_refused(write, lowest, highest):
    assert write(lowest)
    assert write(highest)
    for value in (lowest - 1, highest + 1):
        with pytest.raises(OverflowError, match=f"{value} is out of range"):
            write(value)


def test_a_varint_longer_than_it_need_be_is_read():
    assert wire.read_varint(b"\x81\x80\x00", 0, 3, NAME) == (1, 3)


def test_bits_beyond_64_are_dropped():
    assert wire.read_varint(b"\x80" * 9 + b"\x7f", 0, 10, NAME) == (1 << 63, 10)


@pytest.mark.parametrize(
    ("read", "data", "reason"),
    [
        (wire.read_varint, b"\x80" * 10 + b"\x00", "a varint of more than 10 bytes at byte 0"),
        (wire.read_varint, b"\x80" * 9, "the message ends inside the value that begins at byte 0"),
        (wire.read_varint, b"", "the message ends inside the value that begins at byte 0"),
        (wire.read_tag, b"\x80" * 5 + b"\x00", "a tag of more than 5 bytes"),
        (wire.read_tag, b"\x80\x80\x80\x80\x10", "a tag of 4294967296, above 4294967295"),
        (wire.read_length, b"\x80\x80\x80\x80\x08", "a length of 2147483648, above 2147483647"),
    ],
)
def test_malformed_varints_are_refused_with_the_reason(read, data, reason):
    with pytest.raises(InvalidArgument, match=f"malformed Message: {reason}"):
        read(data, 0, len(data), NAME)


def test_a_reader_stops_at_the_message_and_not_at_the_buffer():
    with pytest.raises(InvalidArgument, match="ends inside"):
        wire.read_varint(b"\x80\x80\x01", 0, 2, NAME)


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\x96\x01",
        b"\x09" + bytes(8),
        b"\x0a\x03abc",
        b"\x0d" + bytes(4),
        b"\x0b\x0c",
        b"\x0b\x08\x01\x13\x12\x01a\x14\x0c",
    ],
)
def test_an_unknown_field_is_stepped_over_whole(data):
    assert skipped(data) == len(data)
    assert skipped(data + b"more") == len(data)
    for end in range(1, len(data)):
        with pytest.raises(InvalidArgument, match="ends inside"):
            skipped(data[:end])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00\x01", "field number 0"),
        (b"\x0b\x00\x01\x0c", "field number 0"),
        (b"\x0c", "the end of group 1, which is not open"),
        (b"\x0b\x14", "the end of group 2, which is not open"),
        (b"\x0e", "wire type 6, which does not exist"),
        (b"\x0f", "wire type 7, which does not exist"),
        (b"\x0b" * 4 + b"\x0c" * 4, "nested more than 100 deep"),
    ],
)
def test_what_is_no_field_is_refused_with_the_reason(data, reason):
    with pytest.raises(InvalidArgument, match=reason):
        skipped(data, depth=3)


def test_groups_may_be_as_deep_as_is_left():
    assert skipped(b"\x0b" * 3 + b"\x0c" * 3, depth=3) == 6
