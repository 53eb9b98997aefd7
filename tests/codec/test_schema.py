"""What is read out of a betterproto2 class."""

from __future__ import annotations

import dataclasses

import betterproto2
import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec.schema import Field, Label, Value, fields_of


@dataclasses.dataclass(eq=False, repr=False)
class Wrapped(betterproto2.Message):
    at: int | None = betterproto2.field(1, "message", unwrap=lambda: cri.Int64Value)


def test_fields_come_in_order_of_their_numbers():
    assert [field.number for field in fields_of(cri.ContainerConfig)] == sorted(
        betterproto2.FieldMetadata.get(field).number for field in dataclasses.fields(cri.ContainerConfig)
    )


def test_a_field_has_its_label_and_its_class():
    fields = {field.name: field for field in fields_of(cri.Container)}
    assert fields["id"] == Field(1, "id", Label.PLAIN, Value("string", str))
    assert fields["metadata"] == Field(3, "metadata", Label.PRESENCE, Value("message", cri.ContainerMetadata))
    assert fields["state"].value.cls is cri.ContainerState
    assert fields["labels"] == Field(8, "labels", Label.MAP, Value("string", str), Value("string", str))


def test_a_tag_is_number_and_wire_type():
    fields = {field.name: field for field in fields_of(cri.Container)}
    assert (fields["id"].tag(), fields["state"].tag(), fields["labels"].tag()) == (0x0A, 0x30, 0x42)


def test_a_wrapped_well_known_type_is_refused_by_name():
    with pytest.raises(TypeError, match=r"Wrapped\.at is a wrapped well-known type"):
        fields_of(Wrapped)
