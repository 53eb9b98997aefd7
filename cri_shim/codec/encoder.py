r"""Writes the source of a message's encoder: straight-line code, one paragraph a field.

An encoder takes a message and gives its bytes. For the fields `string id = 1; int64 created_at = 7;` it reads

    def encode(m):
        out = []
        v = m.id
        if v:
            v = v.encode()
            n = len(v)
            out += (heads_10[n] if n < 128 else b"\n" + varint(n), v)
        v = m.created_at
        if v:
            out += (b"8", one_byte[v] if 0 <= v < 128 else int64(v))
        v = m._unknown_fields
        if v:
            out.append(v)
        return b"".join(out)

Why so: measured, the many small steps are the cost, not the way in which bytes are gathered (list and join, bytes and
`+=`, bytearray: within 5 % of each other), so a step is saved wherever one can be: tag and length come out of one
table, and a message's body is joined once. Fields go out in order of their numbers, unknown ones last, as upb does it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from cri_shim.codec import source, wire
from cri_shim.codec.schema import DELIMITED, PACKINGS, Field, Label, Value
from cri_shim.codec.source import Written

if TYPE_CHECKING:
    from collections.abc import Sequence

_VARINTS = {
    "int32": wire.int32,
    "int64": wire.int64,
    "uint32": wire.uint32,
    "uint64": wire.uint64,
    "sint32": wire.sint32,
    "sint64": wire.sint64,
    "enum": wire.int32,
}


def message_encoder(fields: Sequence[Field]) -> Written:
    """The source of `encode(m)`, which gives the message's bytes; nested are message classes."""
    writing = _Writing()
    unknown = ["v = m._unknown_fields", "if v:", "    out.append(v)"]
    steps = [step for field in fields for step in writing.field(field)]
    body = ["out = []", *steps, *unknown, 'return b"".join(out)'] if fields else ["return m._unknown_fields"]
    return Written("encode", ["def encode(m):", *source.indented(body)], writing.namespace, writing.nested)


class _Writing:
    """Writes the steps of each field, and gathers the names that they use."""

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {"one_byte": wire.ONE_BYTE, "varint": wire.varint}
        self.nested: dict[str, Any] = {}

    def field(self, field: Field) -> list[str]:
        """Put the field of `m` to `out`, when it is to be put."""
        load = f"v = m.{field.name}"
        if field.label is Label.MAP:
            return [load, "if v:", *source.indented(self._map(field))]
        if field.label is Label.REPEATED:
            repeated = self._packed(field) if field.value.packable else self._each(field)
            return [load, "if v:", *source.indented(repeated)]
        steps, parts = self._value(field.value, field.tag())
        if field.label is Label.PRESENCE:
            return [load, "if v is not None:", *source.indented([*steps, _put(parts)])]
        if field.value.kind in ("float", "double"):  # minus zero is not the default: compare what would go out
            zero = struct.calcsize(PACKINGS[field.value.kind]) * b"\0"
            return [load, f"v = {parts[1]}", f"if v != {zero!r}:", f"    {_put((parts[0], 'v'))}"]
        return [load, "if v:", *source.indented([*steps, _put(parts)])]

    def _each(self, field: Field) -> list[str]:
        steps, parts = self._value(field.value, field.tag())
        return ["for v in v:", *source.indented([*steps, _put(parts)])]

    def _packed(self, field: Field) -> list[str]:
        if field.value.kind in PACKINGS:
            self.namespace["pack"] = struct.pack
            run = f"pack(f'<{{len(v)}}{PACKINGS[field.value.kind]}', *v)"
        elif field.value.kind == "bool":
            run = "bytes([1 if v else 0 for v in v])"
        else:
            run = f'b"".join([{self._scalar(field.value, "v")} for v in v])'
        return [f"v = {run}", "n = len(v)", _put(self._headed(field.tag(DELIMITED), "n", "v"))]

    def _map(self, field: Field) -> list[str]:
        assert field.key  # noqa: S101  (the schema's promise, for the type checker)
        if field.key.kind == field.value.kind == "string":
            return self._string_map(field)
        key_steps, key = self._value(field.key, 1 << 3 | field.key.wire_type, "k", "i")
        steps, value = self._value(field.value, 2 << 3 | field.value.wire_type)
        entry = [*key_steps, *steps, f'v = b"".join(({", ".join((*key, *value))}))', "n = len(v)"]
        return ["for k, v in v.items():", *source.indented([*entry, _put(self._headed(field.tag(), "n", "v"))])]

    def _string_map(self, field: Field) -> list[str]:
        """Labels and annotations, the bulk of every list: an entry's length is known without building the entry."""
        (_, key), (_, value) = self._value(Value("string"), 10, "k", "i"), self._value(Value("string"), 18)
        heads = self._heads(field.tag())
        return [
            "for k, v in v.items():",
            "    k = k.encode()",
            "    v = v.encode()",
            "    i = len(k)",
            "    n = len(v)",
            "    if i + n < 124:",
            f"        out += ({heads}[i + n + 4], {self._heads(10)}[i], k, {self._heads(18)}[n], v)",
            "    else:",
            f'        v = b"".join(({", ".join((*key, *value))}))',
            "        n = len(v)",
            f"        {_put(self._headed(field.tag(), 'n', 'v'))}",
        ]

    def _value(self, value: Value, tag: int, v: str = "v", n: str = "n") -> tuple[list[str], tuple[str, ...]]:
        """The steps that prepare the value in `v` (its length in `n`), and the expressions of the bytes to put."""
        match value.kind:
            case "string":
                return [f"{v} = {v}.encode()", f"{n} = len({v})"], self._headed(tag, n, v)
            case "bytes":
                return [f"{n} = len({v})"], self._headed(tag, n, v)
            case "message":
                name = source.name_for(value.cls, "encode", self.nested)
                return [f"{v} = {name}({v})", f"{n} = len({v})"], self._headed(tag, n, v)
        return [], (repr(wire.varint(tag)), self._scalar(value, v))

    def _scalar(self, value: Value, v: str) -> str:
        if value.kind in PACKINGS:
            name = f"pack_{value.kind}"
            self.namespace[name] = struct.Struct(f"<{PACKINGS[value.kind]}").pack
            return f"{name}({v})"
        if value.kind == "bool":
            return f'b"\\1" if {v} else b"\\0"'
        name = _VARINTS[value.kind].__name__
        self.namespace[name] = _VARINTS[value.kind]
        if value.kind in ("sint32", "sint64"):
            return f"{name}({v})"
        return f"one_byte[{v}] if 0 <= {v} < {wire.SMALL} else {name}({v})"

    def _headed(self, tag: int, n: str, v: str) -> tuple[str, str]:
        head = f"{self._heads(tag)}[{n}] if {n} < {wire.SMALL} else {wire.varint(tag)!r} + varint({n})"
        return head, v

    def _heads(self, tag: int) -> str:
        name = f"heads_{tag}"
        self.namespace[name] = wire.heads(tag)
        return name


def _put(parts: Sequence[str]) -> str:
    return f"out += ({', '.join(parts)})"


def item_head(number: int, length: int) -> bytes:
    """How the field `number`, length-delimited, begins: its tag, and the length of what follows."""
    return wire.varint(number << 3 | DELIMITED) + wire.varint(length)
