"""Writes the source of a message's decoder: one loop over the fields, one branch for each tag.

A decoder takes the buffer, the position at which the message begins and the one at which it ends, how many more levels
of messages may be opened, and a message to merge into or None. For `string id = 1; int64 created_at = 7;` it reads

    def decode(data, pos, end, depth, m):
        if depth < 0:
            raise too_deep(name, pos)
        lost = None
        if m is None:
            m = new(cls)
            f1 = ""
            f7 = 0
        else:
            f1 = m.id
            ...
        try:
            while pos < end:
                start = pos
                tag = data[pos]
                pos += 1
                if tag > 127:
                    tag, pos = read_tag(data, start, end, name)
                if tag == 10:
                    n = data[pos]
                    pos += 1
                    if n > 127:
                        n, pos = read_length(data, pos - 1, end, name)
                    n += pos
                    if n > end:
                        raise truncated(name, start)
                    f1 = data[pos:n].decode()
                    pos = n
                elif tag == 56:
                    f7 = data[pos]
                    pos += 1
                    if f7 > 127:
                        f7, pos = read_int64(data, pos - 1, end, name)
                else:
                    pos = skip(tag, data, pos, end, depth, name)
                    ...
        except UnicodeDecodeError as error:
            raise malformed(...) from error
        if pos > end:
            raise truncated(name, start)
        m.id = f1
        m.created_at = f7
        m._unknown_fields = ...
        return m

Values gather in local variables and are set at the end, in the order in which betterproto2's own `__init__` sets them:
such instances share their keys and stay as small and as fast to read as ones made the ordinary way. The ordinary way
itself (`cls(...)`) is several times slower.

A field of a wire type that is not its own is an unknown field, as for upb. The inline reads may look at the byte at
`end` (the caller pads the buffer by one), but then `pos` is beyond `end`, and the message is refused.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from cri_shim.codec import source, wire
from cri_shim.codec.encoder import PACKINGS
from cri_shim.codec.schema import DELIMITED, Field, Label, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

_READERS = {
    "int32": wire.read_int32,
    "int64": wire.read_int64,
    "uint32": wire.read_uint32,
    "uint64": wire.read_varint,
    "sint32": wire.read_uint32,
    "sint64": wire.read_varint,
    "bool": wire.read_varint,
    "enum": wire.read_int32,
}
_ZEROS = {"string": "''", "bytes": "b''", "bool": "False", "float": "0.0", "double": "0.0"}
_SUPPORT = (wire.malformed, wire.read_length, wire.read_tag, wire.skip, wire.too_deep, wire.truncated)


class DecoderSource:
    """The source of one message's decoder, and the names that it uses.

    `lines` defines `decode(data, pos, end, depth, m)`; `namespace` is complete but for the decoders in `nested`, by
    name: the class of a nested message, or the `Field` of a map.
    """

    def __init__(self, cls: type, fields: Sequence[Field], order: Sequence[str]) -> None:
        self.nested: dict[str, Any] = {}
        self._fields = fields
        self.namespace: dict[str, Any] = {function.__name__: function for function in _SUPPORT}
        self.namespace |= {"cls": cls, "new": object.__new__, "name": cls.__name__}
        variables = {field.name: _variable(field) for field in fields}
        fresh = ["m = new(cls)", *(f"{_variable(field)} = {self._empty(field)}" for field in fields)]
        merged = ["lost = [m._unknown_fields]", *(f"{variable} = m.{name}" for name, variable in variables.items())]
        self.lines = _function(
            ["lost = None", "if m is None:", *source.indented(fresh), "else:", *source.indented(merged)],
            self._branches(),
            [
                *(f"m.{name} = {variables[name]}" for name in order),
                "m._unknown_fields = b''.join(lost) if lost else b''",
                "return m",
            ],
        )

    def _empty(self, field: Field) -> str:
        if field.label is Label.MAP:
            return "{}"
        if field.label is Label.REPEATED:
            return "[]"
        return "None" if field.label is Label.PRESENCE else self._zero(field.value)

    def _zero(self, value: Value) -> str:
        if value.kind == "enum":
            return f"{self._members(value)}[0]"
        if value.kind == "message":
            return f"{self._nested(value)}(b'', 0, 0, depth, None)"
        return _ZEROS.get(value.kind, "0")

    def _branches(self) -> list[list[str]]:
        """For each tag a branch: its condition first, then what it does."""
        branches: list[list[str]] = []
        for field in self._fields:
            variable, tag = _variable(field), field.tag()
            if field.label is Label.MAP:
                branches.append([f"tag == {tag}", *self._entry(field, variable)])
            elif field.label is Label.REPEATED:
                branches.append([f"tag == {tag}", *self._value(field.value), f"{variable}.append(v)"])
                if field.value.packable:
                    branches.append([f"tag == {field.tag(DELIMITED)}", *self._packed(field, variable)])
            else:
                branches.append([f"tag == {tag}", *self._value(field.value, variable), *self._others(field)])
        return branches

    def _others(self, field: Field) -> list[str]:
        """A oneof keeps only the member that came last."""
        rivals = (other for other in self._fields if other.group == field.group and other is not field)
        return [f"{_variable(rival)} = None" for rival in rivals] if field.group else []

    def _entry(self, field: Field, variable: str) -> list[str]:
        name = f"entry_{field.number}"
        self.nested[name] = field
        return [*_DELIMITED, f"k, v = {name}(data, pos, n, depth - 1)", f"{variable}[k] = v", "pos = n"]

    def _value(self, value: Value, variable: str = "v") -> list[str]:
        """Read one value into `variable`; into the message that is there, when it is a singular message's."""
        if value.kind in PACKINGS:
            return self._fixed(value, variable)
        if value.wire_type != DELIMITED:
            return self._varint(value, variable, "end")
        if value.kind == "message":
            into = "None" if variable == "v" else variable
            taken = f"{self._nested(value)}(data, pos, n, depth - 1, {into})"
        else:
            taken = "data[pos:n].decode()" if value.kind == "string" else "data[pos:n]"
        return [*_DELIMITED, f"{variable} = {taken}", "pos = n"]

    def _varint(self, value: Value, variable: str, end: str) -> list[str]:
        reader = _READERS[value.kind]
        self.namespace[reader.__name__] = reader
        return [
            f"{variable} = data[pos]",
            "pos += 1",
            f"if {variable} > 127:",
            f"    {variable}, pos = {reader.__name__}(data, pos - 1, {end}, name)",
            *self._converted(value, variable),
        ]

    def _converted(self, value: Value, variable: str) -> list[str]:
        match value.kind:
            case "bool":
                return [f"{variable} = {variable} != 0"]
            case "sint32" | "sint64":
                return [f"{variable} = {variable} >> 1 ^ -({variable} & 1)"]
            case "enum":
                members = self._members(value)
                return [f"{variable} = {members}[{variable}] if {variable} in {members} else {members}_({variable})"]
        return []

    def _members(self, value: Value) -> str:
        """The name of the enum's members by number; with a `_` behind it, of what makes a member of another number."""
        name = f"members_{value.cls.__name__}"
        self.namespace[name] = {int(member): member for member in value.cls.__members__.values()}
        self.namespace[f"{name}_"] = value.cls
        return name

    def _fixed(self, value: Value, variable: str) -> list[str]:
        packing = struct.Struct(f"<{PACKINGS[value.kind]}")
        self.namespace[f"unpack_{value.kind}"] = packing.unpack_from
        return [
            f"n = pos + {packing.size}",
            "if n > end:",
            "    raise truncated(name, start)",
            f"({variable},) = unpack_{value.kind}(data, pos)",
            "pos = n",
        ]

    def _packed(self, field: Field, variable: str) -> list[str]:
        kind = field.value.kind
        if kind in PACKINGS:
            packing = struct.Struct(f"<{PACKINGS[kind]}")
            self.namespace[f"each_{kind}"] = packing.iter_unpack
            return [
                *_DELIMITED,
                f"if (n - pos) % {packing.size}:",
                f"    raise malformed(name, start, 'a packed run that is no multiple of {packing.size} bytes')",
                f"{variable} += [v for (v,) in each_{kind}(data[pos:n])]",
                "pos = n",
            ]
        one = [*self._varint(field.value, "v", "n"), f"{variable}.append(v)"]
        return [*_DELIMITED, "while pos < n:", *source.indented(one)]

    def _nested(self, value: Value) -> str:
        name = f"decode_{value.cls.__name__}"
        self.nested[name] = value.cls
        return name


class EntrySource(DecoderSource):
    """The source of the decoder of one map's entries: `decode(data, pos, end, depth)` gives key and value.

    An entry is a message of two fields on the wire; what else is in it is dropped, as upb drops it.
    """

    def __init__(self, cls: type, field: Field) -> None:
        assert field.key  # noqa: S101  (the schema's promise, for the type checker)
        self.nested = {}
        self._fields = (
            Field(1, "key", Label.PLAIN, field.key),
            Field(2, "value", Label.PRESENCE if field.value.kind == "message" else Label.PLAIN, field.value),
        )
        self.namespace = {function.__name__: function for function in _SUPPORT}
        self.namespace["name"] = f"{cls.__name__}.{field.name}"
        empty = ["lost = None", *(f"{_variable(part)} = {self._empty(part)}" for part in self._fields)]
        absent = ["if f2 is None:", f"    f2 = {self._zero(field.value)}"] if field.value.kind == "message" else []
        self.lines = _function(empty, self._branches(), [*absent, "return f1, f2"], parameters="data, pos, end, depth")


_DELIMITED = [
    "n = data[pos]",
    "pos += 1",
    "if n > 127:",
    "    n, pos = read_length(data, pos - 1, end, name)",
    "n += pos",
    "if n > end:",
    "    raise truncated(name, start)",
]


def _variable(field: Field) -> str:
    return f"f{field.number}"


def _function(
    opening: Sequence[str],
    branches: Sequence[Sequence[str]],
    closing: Sequence[str],
    parameters: str = "data, pos, end, depth, m",
) -> list[str]:
    unknown = [
        "pos = skip(tag, data, pos, end, depth, name)",
        "if lost is None:",
        "    lost = []",
        "lost.append(data[start:pos])",
    ]
    chain: list[str] = []
    for condition, *steps in branches:
        chain += [f"{'elif' if chain else 'if'} {condition}:", *source.indented(steps)]
    loop = [
        "start = pos",
        "tag = data[pos]",
        "pos += 1",
        "if tag > 127:",
        "    tag, pos = read_tag(data, start, end, name)",
        *([*chain, "else:", *source.indented(unknown)] if chain else unknown),
    ]
    body = [
        "if depth < 0:",
        "    raise too_deep(name, pos)",
        *opening,
        "try:",
        "    while pos < end:",
        *source.indented(loop, 2),
        "except UnicodeDecodeError as error:",
        "    raise malformed(name, pos, f'a string that is not UTF-8 ({error.reason})') from error",
        "if pos > end:",
        "    raise truncated(name, start)",
        *closing,
    ]
    return [f"def decode({parameters}):", *source.indented(body)]
