"""A message with a field of every kind, label and map: what the CRI may come to use, and doesn't yet.

The dataclass (as betterproto2's generator writes them) and the descriptor are made from one table.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import betterproto2
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

PACKAGE = "cri_shim.tests"
TYPES: dict[str, Any] = {
    **dict.fromkeys(("int32", "int64", "uint32", "uint64", "sint32", "sint64"), int),
    **dict.fromkeys(("fixed32", "fixed64", "sfixed32", "sfixed64"), int),
    **dict.fromkeys(("double", "float"), float),
    "bool": bool,
    "string": str,
    "bytes": bytes,
}
KEYS = [kind for kind, type_ in TYPES.items() if type_ not in (float, bytes)]
LAST = 536_870_911
"""The highest field number that there is."""


class Colour(betterproto2.Enum):
    RED = 0
    GREEN = 1
    SUNKEN = -3
    FAR = 2_147_483_647


def _field(cls: dict[str, Any], name: str, hint: str, number: int, kind: str, **options: Any) -> None:
    if kind == "enum" and not options:
        options["default_factory"] = lambda: Colour(0)
    cls[name] = betterproto2.field(number, kind, **options)
    cls["__annotations__"][name] = hint


def _everything() -> type[betterproto2.Message]:
    hints = {kind: type_.__name__ for kind, type_ in TYPES.items()} | {"enum": "Colour", "message": "Everything"}
    body: dict[str, Any] = {"__annotations__": {}, "__module__": __name__}
    for index, (kind, hint) in enumerate(hints.items(), 1):
        alone = {"optional": True} if kind == "message" else {}
        _field(body, f"one_{kind}", f"{hint} | None" if alone else hint, index, kind, **alone)
        _field(body, f"maybe_{kind}", f"{hint} | None", 20 + index, kind, optional=True)
        _field(body, f"many_{kind}", f"list[{hint}]", 40 + index, kind, repeated=True)
        _field(body, f"choice_{kind}", f"{hint} | None", 60 + index, kind, optional=True, group="choice")
        meta = betterproto2.map_meta("string", kind)
        _field(body, f"by_string_{kind}", f"dict[str, {hint}]", 80 + index, "map", map_meta=meta)
    for index, key in enumerate(KEYS, 1):
        meta = betterproto2.map_meta(key, "string")
        _field(body, f"by_{key}", f"dict[{hints[key]}, str]", 2000 + index, "map", map_meta=meta)
    _field(body, "last", "str", LAST, "string")
    cls = type("Everything", (betterproto2.Message,), body)
    return dataclasses.dataclass(eq=False, repr=False)(cls)


Everything: Any = _everything()


def descriptor(*, packed: bool = True) -> FileDescriptorProto:
    """The file that holds `Everything`; with `packed` off, a message of the same fields that writes none packed."""
    package = PACKAGE if packed else f"{PACKAGE}.unpacked"
    file = FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    enum = file.enum_type.add(name="Colour")
    for member in Colour:
        enum.value.add(name=member.name, number=int(member))
    message = file.message_type.add(name="Everything")
    message.oneof_decl.add(name="choice")
    for field in sorted(dataclasses.fields(Everything), key=lambda field: "choice_" not in field.name):
        _describe(message, package, field.name, betterproto2.FieldMetadata.get(field), packed=packed)
    return file


def _describe(message: DescriptorProto, package: str, name: str, meta: Any, *, packed: bool) -> None:
    many = meta.repeated or meta.map_meta
    label = FieldDescriptorProto.LABEL_REPEATED if many else FieldDescriptorProto.LABEL_OPTIONAL
    described = message.field.add(name=name, number=meta.number, label=label)
    if meta.map_meta:
        entry = message.nested_type.add(name="".join(part.capitalize() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        for part, part_name in zip(meta.map_meta, ("key", "value"), strict=True):
            one = entry.field.add(name=part_name, number=part.number, label=FieldDescriptorProto.LABEL_OPTIONAL)
            _typed(one, package, part.proto_type)
        described.type = FieldDescriptorProto.TYPE_MESSAGE
        described.type_name = f".{package}.Everything.{entry.name}"
        return
    _typed(described, package, meta.proto_type)
    if meta.group:
        described.oneof_index = 0
    elif meta.optional and meta.proto_type != "message":
        described.oneof_index = len(message.oneof_decl)
        described.proto3_optional = True
        message.oneof_decl.add(name=f"_{name}")
    elif meta.repeated and meta.proto_type not in ("string", "bytes", "message"):
        described.options.packed = packed


def _typed(described: FieldDescriptorProto, package: str, kind: str) -> None:
    described.type = getattr(FieldDescriptorProto, f"TYPE_{kind.upper()}")
    if kind in ("enum", "message"):
        described.type_name = f".{package}.{'Colour' if kind == 'enum' else 'Everything'}"
