"""Encoding, decoding and list items, case by case; `test_differential` has the breadth."""

from __future__ import annotations

import functools

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import decode, encode, item
from cri_shim.codec.wire import varint
from cri_shim.errors import CriError, Internal, InvalidArgument
from tests.codec import upb
from tests.codec.everything import Colour, Everything
from tests.codec.strategies import tagged


def within(number: int, data: bytes) -> bytes:
    """A message whose field `number` is the message `data`."""
    return tagged(number, 2, varint(len(data)) + data)


def nested(levels: int, number: int) -> bytes:
    """`levels` messages in each other, by field `number`."""
    return functools.reduce(lambda data, _: within(number, data), range(levels), b"")


def number_of(name: str) -> int:
    return upb.CLASSES[Everything].DESCRIPTOR.fields_by_name[name].number


def test_an_absent_message_and_an_empty_one_are_told_apart():
    assert encode(cri.Container()) == b""
    assert encode(cri.Container(metadata=cri.ContainerMetadata())) == b"\x1a\x00"
    assert decode(cri.Container, b"").metadata is None
    assert decode(cri.Container, b"\x1a\x00").metadata == cri.ContainerMetadata()


def test_an_optional_scalar_keeps_its_zero():
    assert decode(Everything, encode(Everything(maybe_int32=0))).maybe_int32 == 0
    assert decode(Everything, encode(Everything())).maybe_int32 is None


def test_minus_zero_is_not_the_default():
    assert encode(Everything(one_double=0.0)) == b""
    assert str(decode(Everything, encode(Everything(one_double=-0.0))).one_double) == "-0.0"


def test_an_enums_unknown_value_is_kept():
    assert decode(Everything, encode(Everything(one_enum=Colour(77)))).one_enum == 77
    assert decode(cri.Container, b"\x30\x4d").state.name == ""


def test_a_oneof_keeps_the_member_that_came_last():
    both = encode(Everything(choice_string="a")) + encode(Everything(choice_int32=0))
    assert decode(Everything, both) == Everything(choice_int32=0)


def test_a_message_that_comes_in_parts_is_merged():
    first = cri.Container(
        metadata=cri.ContainerMetadata(name="a", attempt=1), image=cri.ImageSpec(annotations={"k": "v"})
    )
    second = cri.Container(metadata=cri.ContainerMetadata(name="b"), image=cri.ImageSpec(annotations={"l": "w"}))
    merged = decode(cri.Container, encode(first) + encode(second))
    assert merged.metadata == cri.ContainerMetadata(name="b", attempt=1)
    assert merged.image == cri.ImageSpec(annotations={"k": "v", "l": "w"})


def test_unknown_fields_of_a_merged_message_are_all_kept():
    parts = [encode(cri.Container(metadata=decode(cri.ContainerMetadata, bytes((0x78, n))))) for n in (1, 2)]
    merged = decode(cri.Container, b"".join(parts)).metadata
    assert merged is not None
    assert encode(merged) == b"\x78\x01\x78\x02"


def test_a_maps_last_entry_of_a_key_wins_and_missing_parts_are_zero():
    entries = [b"\x0a\x01k\x12\x01a", b"\x0a\x01k\x12\x01b", b"\x0a\x01l", b"\x12\x01m", b"\x12\x01x\x0a\x01n"]
    data = b"".join(tagged(8, 2, bytes((len(entry),)) + entry) for entry in entries)
    assert decode(cri.Container, data).labels == {"k": "b", "l": "", "": "m", "n": "x"}


def test_a_field_of_another_wire_type_is_unknown():
    data = tagged(1, 0, b"\x05")
    message = decode(cri.Container, data)
    assert message == cri.Container()
    assert encode(message) == data


def test_what_was_decoded_is_not_shared_with_the_next():
    one, two = decode(cri.Container, b""), decode(cri.Container, b"")
    one.labels["a"] = "b"
    assert two.labels == {}


def test_a_decoded_message_is_one_like_any_other():
    decoded = decode(cri.Container, encode(cri.Container(id="a", state=cri.ContainerState.CONTAINER_EXITED)))
    assert vars(decoded) == vars(cri.Container(id="a", state=cri.ContainerState.CONTAINER_EXITED))
    assert isinstance(decoded.state, cri.ContainerState)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_any_buffer_is_decoded_and_bytes_come_of_it(kind):
    message = decode(cri.ExecSyncResponse, kind(encode(cri.ExecSyncResponse(stdout=b"out"))))
    assert type(message.stdout) is bytes


@pytest.mark.parametrize("length", [0, 1, 123, 124, 127, 128, 16_383, 16_384, 3_000_000])
def test_lengths_of_every_size(length):
    message = cri.Container(id="x" * length, labels={"k" * length: "", "": "v" * length}, image_ref="é" * length)
    assert decode(cri.Container, encode(message)) == message


def test_items_joined_are_the_list():
    containers = [cri.Container(id=str(number)) for number in range(3)]
    assert b"".join(item(1, one) for one in containers) == encode(cri.ListContainersResponse(containers=containers))
    assert item(3000, cri.Container(id="x" * 200)) == b"\xc2\xbb\x01\xcb\x01" + encode(cri.Container(id="x" * 200))


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (cri.ContainerMetadata(attempt=-1), "-1 is out of range"),
        (cri.ContainerMetadata(attempt=1 << 32), "4294967296 is out of range"),
        (cri.ContainerMetadata(name="\ud800"), "surrogates not allowed"),
        (cri.ContainerMetadata(name=3), "has no attribute 'encode'"),  # type: ignore[arg-type]
        (cri.ContainerMetadata(attempt="3"), "not supported"),  # type: ignore[arg-type]
        (cri.ExecSyncResponse(stdout="text"), "found"),  # type: ignore[arg-type]
        (cri.ListContainersResponse(containers=[None]), "NoneType"),  # type: ignore[list-item]
        (Everything(one_float=1e300), "too large"),
        (Everything(one_double="x"), "not a float"),
    ],
)
def test_a_value_that_a_field_cannot_carry_is_named(message, text):
    with pytest.raises(Internal, match=rf"^{type(message).__name__} holds a value .*{text}"):
        encode(message)


@pytest.mark.parametrize(
    ("cls", "data", "text"),
    [
        (cri.Container, b"\x0a", "malformed Container: the message ends inside the value that begins at byte 0"),
        (cri.Container, b"\x0a\x02a", "malformed Container: .* begins at byte 0"),
        (cri.Container, b"\x0a\x01a\x1a\x02\x0a\x01", "malformed ContainerMetadata: .* begins at byte 5"),
        (cri.Container, b"\x1a\x01\x10", "malformed ContainerMetadata: .* begins at byte 2"),
        (
            cri.Container,
            b"\x0a\x01\xff",
            r"malformed Container: a string that is not UTF-8 \(invalid start byte\) at byte 2",
        ),
        (
            cri.Container,
            b"\x42\x03\x0a\x01\xff",
            r"malformed Container\.labels: a string that is not UTF-8 .* at byte 4",
        ),
        (cri.Container, b"\x42\x02\x0a\x01k", r"malformed Container\.labels: .* begins at byte 2"),
        (cri.ContainerMetadata, b"\x10", "malformed ContainerMetadata: .* begins at byte 0"),
        (cri.ContainerMetadata, b"\x10" + b"\x80" * 10 + b"\0", "a varint of more than 10 bytes at byte 1"),
        (cri.Container, b"\x00\x00", "field number 0"),
        (cri.Container, b"\x0e", "wire type 6"),
        (Everything, tagged(number_of("many_fixed32"), 2, b"\x05abcde"), "no multiple of 4 bytes at byte 0"),
        (Everything, tagged(number_of("many_int32"), 2, b"\x02\x01\x80") + b"\x01", "ends inside .* at byte 4"),
        (Everything, tagged(number_of("one_double"), 1, bytes(7)), "ends inside"),
    ],
)
def test_malformed_bytes_are_refused_with_message_and_offset(cls, data, text):
    with pytest.raises(InvalidArgument, match=text):
        decode(cls, data)


def test_every_truncation_is_read_or_refused():
    data = encode(cri.Container(id="ab", metadata=cri.ContainerMetadata(name="n", attempt=300), labels={"k": "v"}))
    for end in range(len(data)):
        assert (upb.parsed(cri.Container, data[:end]) is None) is (refusal(cri.Container, data[:end]) is not None)


def refusal(cls: type, data: bytes) -> CriError | None:
    try:
        decode(cls, data)
    except InvalidArgument as error:
        return error
    return None


@pytest.mark.parametrize("levels", [99, 100, 101])
@pytest.mark.parametrize("field", ["one_message", "many_message", "choice_message"])
def test_messages_are_nested_as_deep_as_upb_takes_them(field, levels):
    data = nested(levels, number_of(field))
    assert (upb.parsed(Everything, data) is None) is (levels > 100)
    assert ("nested more than 100 deep" in str(refusal(Everything, data))) is (levels > 100)


@pytest.mark.parametrize("levels", [49, 50, 51])
def test_a_maps_entry_is_a_level_too(levels):
    data = b""
    for _ in range(levels):
        data = within(number_of("by_string_message"), within(2, data))
    assert (upb.parsed(Everything, data) is None) is (refusal(Everything, data) is not None) is (levels > 50)


@pytest.mark.parametrize("levels", [97, 98, 99])
def test_unknown_groups_count_with_the_messages_around_them(levels):
    groups = b"\x9b\x06" * levels + b"\x9c\x06" * levels
    data = within(number_of("one_message"), groups)
    data = within(number_of("one_message"), data)
    assert (upb.parsed(Everything, data) is None) is (refusal(Everything, data) is not None) is (levels > 98)


def test_many_unknown_fields_take_time_in_proportion():
    data = b"\x78\x01" * 300_000  # quadratic, this would take minutes
    assert encode(decode(cri.Container, data)) == data


def test_a_message_in_very_many_parts_takes_time_in_proportion():
    part = encode(cri.Container(metadata=cri.ContainerMetadata(name="x" * 100)))
    assert decode(cri.Container, part * 50_000) == decode(cri.Container, part)
