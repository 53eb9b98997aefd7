"""Ours beside protobuf's C library, both ways, over every message of the CRI and one of everything else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cri_shim.codec import decode, encode
from cri_shim.codec.schema import Label, fields_of
from cri_shim.errors import InvalidArgument
from tests.codec import upb
from tests.codec.everything import Everything
from tests.codec.strategies import messages, near_messages

pytestmark = pytest.mark.filterwarnings(r"ignore:\w+\.\w+ is deprecated:DeprecationWarning")

EVERY = sorted(upb.CLASSES, key=lambda cls: cls.__name__)
FEW = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


def of_each(check: Any) -> Any:
    """Some examples of every message, and many of the one that has all."""

    @pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
    def test(cls: Any) -> None:
        @(MANY if cls is Everything else FEW)
        @given(st.data())
        def examples(data: st.DataObject) -> None:
            check(cls, data)

        examples()

    return test


def decoded_but_for_field_zero(cls: Any, raw: bytes) -> Any:
    """Ours, of bytes that upb takes. The one intended difference: upb does not see field number 0 in unknown groups."""
    try:
        return decode(cls, raw)
    except InvalidArgument as error:
        assume("field number 0" not in str(error))
        raise


def has_long_map(message: Any) -> bool:
    """Whether a map of more than one entry is in it: their order is anybody's."""
    for field in fields_of(type(message)):
        value = getattr(message, field.name)
        nested = value if isinstance(value, list) else value.values() if isinstance(value, dict) else [value]
        if field.label is Label.MAP and len(value) > 1:
            return True
        if field.value.kind == "message" and any(has_long_map(one) for one in nested if one is not None):
            return True
    return False


def check_encoded(cls: Any, data: st.DataObject) -> None:
    message = data.draw(messages(cls))
    expected, ours = upb.from_ours(message), encode(message)
    assert upb.canonical(upb.parsed(cls, ours)) == upb.canonical(expected)
    if not has_long_map(message):
        assert ours == expected.SerializeToString()


def check_decoded(cls: Any, data: st.DataObject) -> None:
    message = data.draw(messages(cls))
    ours = decode(cls, upb.from_ours(message).SerializeToString())
    assert ours == message
    assert has_long_map(message) or repr(ours) == repr(message)
    assert vars(ours).keys() == vars(message).keys()


def check_refused_alike(cls: Any, data: st.DataObject) -> None:
    raw = data.draw(near_messages(cls))
    theirs = upb.parsed(cls, raw)
    if theirs is None:
        with pytest.raises(InvalidArgument, match=r"^malformed .* at byte "):
            decode(cls, raw)
        return
    ours = decoded_but_for_field_zero(cls, raw)
    expected = decode(cls, theirs.SerializeToString())
    assert upb.canonical(upb.parsed(cls, encode(ours))) == upb.canonical(upb.parsed(cls, encode(expected)))


test_upb_reads_what_we_write = of_each(check_encoded)
test_we_read_what_upb_writes = of_each(check_decoded)
test_we_refuse_what_upb_refuses_and_read_the_rest_alike = of_each(check_refused_alike)


@MANY
@given(messages(Everything))
def test_values_that_upb_did_not_pack_are_read(message):
    unpacked = upb.from_ours(message, upb.UNPACKED())
    assert decode(Everything, unpacked.SerializeToString()) == message


@MANY
@given(near_messages(Everything), st.sampled_from(EVERY))
def test_a_message_read_as_another_keeps_what_it_does_not_know(raw, cls):
    theirs = upb.parsed(cls, raw)
    assume(theirs is not None)
    ours = decoded_but_for_field_zero(cls, raw)
    assert upb.canonical(upb.parsed(cls, encode(ours))) == upb.canonical(theirs)
