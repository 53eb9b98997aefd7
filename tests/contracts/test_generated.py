"""The dataclasses generated for the CRI carry every message, field and enum value of `protos/cri`, no more, no less."""

from __future__ import annotations

from typing import Any

import pytest

from cri_shim.api.message_pool import default_message_pool
from cri_shim.api.runtime import v1 as cri
from cri_shim.codec.schema import Field, Label, fields_of
from tests.contracts.contract import Contract, FieldContract, from_descriptor
from tests.contracts.descriptors import VIRTUAL, project_descriptors

CRI: Contract = next(
    from_descriptor(file) for file in project_descriptors().file if file.name == f"{VIRTUAL}/cri/v1/api.proto"
)
POOL = {url.partition("/")[2]: cls for url, cls in default_message_pool.url_to_type.items()}
CLASSES = {name: cls for name, cls in POOL.items() if name.startswith("runtime.v1.")}


def folded(name: str) -> str:
    """The generator may change case and underscores of a name (CDIDevice, CdiDevice), and nothing else."""
    return name.replace("_", "").replace(".", "").lower()


ENUM_CLASSES: dict[str, Any] = {folded(f"runtime.v1.{name}"): cls for name, cls in vars(cri).items()}


def in_contract(field: FieldContract) -> tuple[int, str, str, str]:
    return field.number, folded(field.name), field.label, folded(field.type)


def in_dataclass(field: Field) -> tuple[int, str, str, str]:
    """The field in a contract's words. A message's presence goes without saying there; a scalar's does not."""
    scalar = field.value.kind not in ("message", "enum")
    type_ = field.value.kind if scalar else folded(f"runtime.v1.{field.value.cls.__name__}")
    label = "repeated" if field.label is Label.REPEATED else ""
    if field.label is Label.PRESENCE and field.value.kind != "message":
        label = "optional"
    if field.key:
        type_ = f"map<{field.key.kind},{type_}>"
    return field.number, folded(field.name), label, type_


def test_every_message_has_its_class_and_every_class_its_message():
    assert sorted(CLASSES) == sorted(CRI.fields)


@pytest.mark.parametrize("name", sorted(CRI.fields))
def test_a_class_has_its_messages_fields(name):
    assert sorted(map(in_dataclass, fields_of(CLASSES[name]))) == sorted(map(in_contract, CRI.fields[name]))


@pytest.mark.parametrize("name", sorted(CRI.enums))
def test_an_enum_class_has_its_enums_values(name):
    members = ENUM_CLASSES[folded(name)]
    assert sorted(int(member) for member in members) == sorted(number for number, _ in CRI.enums[name])
