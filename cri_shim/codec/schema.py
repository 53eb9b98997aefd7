"""What a betterproto2 class says of its fields, in the form that the encoder and the decoder are written from.

betterproto2 keeps number and type in each dataclass field's metadata, and the class of a nested message or enum in its
annotation. Here both become one frozen `Field`. Pure: nothing of betterproto2's own (slower) field tables is built.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from enum import Enum, auto
from typing import Any

from betterproto2 import FieldMetadata

VARINT, FIXED64, DELIMITED, GROUP, END_GROUP, FIXED32 = range(6)

WIRE_TYPES = {
    **dict.fromkeys(("int32", "int64", "uint32", "uint64", "sint32", "sint64", "bool", "enum"), VARINT),
    **dict.fromkeys(("fixed64", "sfixed64", "double"), FIXED64),
    **dict.fromkeys(("fixed32", "sfixed32", "float"), FIXED32),
    **dict.fromkeys(("string", "bytes", "message"), DELIMITED),
}
"""The wire type of each kind of value, by its name in a proto file; an enum's is "enum", a message's "message"."""

PACKINGS = {"double": "d", "float": "f", "fixed32": "I", "fixed64": "Q", "sfixed32": "i", "sfixed64": "q"}
"""The struct format of each kind of value with a fixed size; all are little-endian."""


class Label(Enum):
    """How often a field occurs, and what its absence looks like in Python."""

    PLAIN = auto()
    """A scalar without presence: absent and zero are the same."""
    PRESENCE = auto()
    """A message, an `optional` scalar, or a member of a oneof: None when absent."""
    REPEATED = auto()
    MAP = auto()


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    """The type of one value: its kind, a key of `WIRE_TYPES`, and its class when it is an enum or a message."""

    kind: str
    cls: Any = None

    @property
    def wire_type(self) -> int:
        """What a single one of it is on the wire."""
        return WIRE_TYPES[self.kind]

    @property
    def packable(self) -> bool:
        """Whether many of it may share one length-delimited run."""
        return self.wire_type != DELIMITED


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field of a message. `value` is its element's type when it is repeated, its values' when it is a map."""

    number: int
    name: str
    label: Label
    value: Value
    key: Value | None = None
    group: str | None = None

    def tag(self, wire_type: int | None = None) -> int:
        """Number and wire type as one integer; by default with the wire type of a single value, or of a map's entry."""
        if wire_type is None:
            wire_type = DELIMITED if self.key else self.value.wire_type
        return self.number << 3 | wire_type


def fields_of(cls: Any) -> tuple[Field, ...]:
    """The fields of `cls`, in order of their numbers, as protobuf writes them.

    TypeError: a field is of a kind that the codec does not speak (Google's wrapper types seen as plain values).
    """
    hints = typing.get_type_hints(cls, vars(sys.modules[cls.__module__]), {})
    fields = [_field(cls, field.name, FieldMetadata.get(field), hints[field.name]) for field in dataclasses.fields(cls)]
    return tuple(sorted(fields, key=lambda field: field.number))


def _field(cls: type, name: str, meta: FieldMetadata, hint: Any) -> Field:
    metas = (meta, *(meta.map_meta or ()))
    if any(part.unwrap for part in metas):
        raise TypeError(f"{cls.__name__}.{name} is a wrapped well-known type, which this codec does not speak")
    arguments = [argument for argument in typing.get_args(hint) if argument is not type(None)]
    if meta.map_meta:
        key, value = (Value(part.proto_type, at) for part, at in zip(meta.map_meta, arguments, strict=True))
        return Field(meta.number, name, Label.MAP, value, key)
    value = Value(meta.proto_type, arguments[0] if arguments else hint)
    return Field(meta.number, name, _label(meta), value, group=meta.group)


def _label(meta: FieldMetadata) -> Label:
    if meta.repeated:
        return Label.REPEATED
    presence = meta.optional or meta.group or meta.proto_type == "message"
    return Label.PRESENCE if presence else Label.PLAIN
