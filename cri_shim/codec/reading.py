"""Writes the steps by which a decoder reads one value, or one run of packed ones.

The steps are of the names that every decoder has: `data`, `pos` and `end`, the message's `name`, the `start` of the
field, `depth`. They leave `pos` behind the value, or raise.
"""

from __future__ import annotations

import struct
from typing import Any

from cri_shim.codec import source, wire
from cri_shim.codec.schema import DELIMITED, PACKINGS, Value

DELIMITED_STEPS = (
    "n = data[pos]",
    "pos += 1",
    "if n > 127:",
    "    n, pos = read_length(data, pos - 1, end, name)",
    "n += pos",
    "if n > end:",
    "    raise truncated(name, start)",
)
"""How every length-delimited value begins: afterwards it is `data[pos:n]`, and that is within the message."""

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


class Reading:
    """Writes steps, and gathers the names that they use: `namespace`, and of nested messages' decoders, `nested`."""

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {}
        self.nested: dict[str, Any] = {}

    def zero(self, value: Value) -> str:
        """The expression of the value that an absent field has."""
        match value.kind:
            case "enum":
                return f"{self._members(value)[0]}[0]"
            case "message":
                return f"{self._nested(value)}(data, pos, pos, depth, None)"
        return _ZEROS.get(value.kind, "0")

    def one(self, value: Value, variable: str) -> list[str]:
        """Read one value into `variable`: `v`, or the variable of a field, whose message it is then merged into."""
        if value.kind in PACKINGS:
            return self._fixed(value, variable)
        if value.wire_type != DELIMITED:
            return self._varint(value, variable, "end")
        if value.kind == "message":
            into = "None" if variable == "v" else variable
            taken = f"{self._nested(value)}(data, pos, n, depth - 1, {into})"
        else:
            taken = "data[pos:n].decode()" if value.kind == "string" else "data[pos:n]"
        return [*DELIMITED_STEPS, f"{variable} = {taken}", "pos = n"]

    def packed(self, value: Value, variable: str) -> list[str]:
        """Read a length-delimited run of values into the list `variable`."""
        if value.kind not in PACKINGS:
            one = [*self._varint(value, "v", "n"), f"{variable}.append(v)"]
            return [*DELIMITED_STEPS, "while pos < n:", *source.indented(one)]
        packing, name = struct.Struct(f"<{PACKINGS[value.kind]}"), f"each_{value.kind}"
        self.namespace[name] = packing.iter_unpack
        return [
            *DELIMITED_STEPS,
            f"if (n - pos) % {packing.size}:",
            f"    raise malformed(name, start, 'a packed run that is no multiple of {packing.size} bytes')",
            f"{variable} += [v for (v,) in {name}(data[pos:n])]",
            "pos = n",
        ]

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
                members, enum = self._members(value)
                return [f"{variable} = {members}[{variable}] if {variable} in {members} else {enum}({variable})"]
        return []

    def _members(self, value: Value) -> tuple[str, str]:
        """The names of the enum's members by number, and of the enum, which makes a member of any other number."""
        enum = source.name_for(value.cls, "enum", self.namespace)
        members = f"members_of_{enum}"
        self.namespace[members] = {int(member): member for member in value.cls.__members__.values()}
        return members, enum

    def _fixed(self, value: Value, variable: str) -> list[str]:
        packing, name = struct.Struct(f"<{PACKINGS[value.kind]}"), f"unpack_{value.kind}"
        self.namespace[name] = packing.unpack_from
        return [
            f"n = pos + {packing.size}",
            "if n > end:",
            "    raise truncated(name, start)",
            f"({variable},) = {name}(data, pos)",
            "pos = n",
        ]

    def _nested(self, value: Value) -> str:
        return source.name_for(value.cls, "decode", self.nested)
