"""A contract as plain values, read from a table or from a descriptor: what the two must agree on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor_pb2 import FileDescriptorProto, ServiceDescriptorProto

SCALARS = {
    getattr(FieldDescriptorProto, f"TYPE_{name.upper()}"): name
    for name in (
        *("double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64"),
        *("fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes"),
    )
}


@dataclass(frozen=True)
class FieldContract:
    """A field: its type is a scalar's name, a message's or enum's full name, or `map<key,value>`."""

    number: int
    name: str
    type: str
    label: str = ""
    deprecated: bool = False


@dataclass(frozen=True)
class MethodContract:
    name: str
    request: str
    response: str
    request_streams: bool
    response_streams: bool


@dataclass
class Contract:
    """One proto file. Everything is by its full name, so that a difference says where it is."""

    package: str = ""
    fields: dict[str, set[FieldContract]] = field(default_factory=dict)
    reserved: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    enums: dict[str, set[tuple[int, str]]] = field(default_factory=dict)
    services: dict[str, set[MethodContract]] = field(default_factory=dict)


# From a table.

HEADING = re.compile(r"( *)(message|enum|service) (\w+)")
METHOD = re.compile(r" +(\w+): (stream )?(\S+) -> (stream )?(\S+)")
RESERVED = re.compile(r" +reserved (\d+)\.\.(\d+)")
FIELD = re.compile(r" +(\d+) (\w+) (?:(repeated|optional) )?([\w.<>,]+)( deprecated)?")
VALUE = re.compile(r" +(-?\d+) (\w+)")


def from_table(text: str) -> dict[str, Contract]:
    """The contracts of a table's files, by path."""
    blocks = (block.split("\n", 1) for block in re.split(r"^file ", text, flags=re.MULTILINE) if block.strip())
    return {path: _table_file(rest.splitlines()) for path, rest in blocks}


def _table_file(lines: list[str]) -> Contract:
    contract, holders, kind = Contract(), [""], ""
    for line in filter(str.strip, lines):
        if line.startswith("package "):
            contract.package = line.removeprefix("package ")
        elif match := HEADING.fullmatch(line):
            indent, kind, name = match.groups()
            holders = [*holders[: len(indent) // 2 + 1], name]
            full = ".".join((contract.package, *holders[1:]))
            {"message": contract.fields, "enum": contract.enums, "service": contract.services}[kind][full] = set()
            if kind == "message":
                contract.reserved[full] = set()
        else:
            _table_line(contract, full, kind, line)
    return contract


def _table_line(contract: Contract, full: str, kind: str, line: str) -> None:
    if kind == "service" and (match := METHOD.fullmatch(line)):
        name, request_streams, request, response_streams, response = match.groups()
        method = MethodContract(name, request, response, bool(request_streams), bool(response_streams))
        contract.services[full].add(method)
    elif kind == "enum" and (match := VALUE.fullmatch(line)):
        contract.enums[full].add((int(match[1]), match[2]))
    elif kind == "message" and (match := RESERVED.fullmatch(line)):
        contract.reserved[full].add((int(match[1]), int(match[2])))
    elif kind == "message" and (match := FIELD.fullmatch(line)):
        number, name, label, type_, deprecated = match.groups()
        contract.fields[full].add(FieldContract(int(number), name, type_, label or "", bool(deprecated)))
    else:
        raise ValueError(f"a table's line that is none of its kinds, in {full}: {line!r}")


# From a descriptor.


def from_descriptor(file: FileDescriptorProto) -> Contract:
    """The contract of one compiled proto file."""
    contract = Contract(file.package)
    enums = [(file.package, enum) for enum in file.enum_type]
    for full, message in messages(file):
        if message.options.map_entry:
            continue
        entries = {f".{full}.{nested.name}": nested for nested in message.nested_type if nested.options.map_entry}
        contract.fields[full] = {_field(one, entries) for one in message.field}
        contract.reserved[full] = {(one.start, one.end - 1) for one in message.reserved_range}
        enums += [(full, enum) for enum in message.enum_type]
    for holder, enum in enums:
        contract.enums[f"{holder}.{enum.name}"] = _values(enum)
    for service in file.service:
        contract.services[f"{file.package}.{service.name}"] = _methods(service)
    return contract


def messages(file: FileDescriptorProto) -> Iterator[tuple[str, DescriptorProto]]:
    """Every message of the file, nested ones and map entries included, with its full name."""
    pending = [(f"{file.package}.{message.name}", message) for message in file.message_type]
    for full, message in pending:
        yield full, message
        pending += [(f"{full}.{nested.name}", nested) for nested in message.nested_type]


def _field(one: FieldDescriptorProto, entries: dict[str, DescriptorProto]) -> FieldContract:
    type_, label = _type(one), ""
    if one.type_name in entries:
        key, value = entries[one.type_name].field
        type_ = f"map<{_type(key)},{_type(value)}>"
    elif one.label == FieldDescriptorProto.LABEL_REPEATED:
        label = "repeated"
    elif one.proto3_optional:
        label = "optional"
    assert one.proto3_optional or not one.HasField("oneof_index"), f"{one.name}: the tables know no oneof"
    return FieldContract(one.number, one.name, type_, label, one.options.deprecated)


def _type(one: FieldDescriptorProto) -> str:
    return one.type_name.removeprefix(".") or SCALARS[one.type]


def _values(enum: EnumDescriptorProto) -> set[tuple[int, str]]:
    return {(value.number, value.name) for value in enum.value}


def _methods(service: ServiceDescriptorProto) -> set[MethodContract]:
    return {
        MethodContract(
            method.name,
            method.input_type.removeprefix("."),
            method.output_type.removeprefix("."),
            method.client_streaming,
            method.server_streaming,
        )
        for method in service.method
    }
