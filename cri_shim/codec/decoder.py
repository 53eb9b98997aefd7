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

Values gather in local variables and are set at the end, all of them: the instance is as any other of its class, made
several times faster than by `cls(...)`.

A field of a wire type that is not its own is an unknown field, as for upb. The inline reads may look at the byte at
`end` (the caller pads the buffer by one), but then `pos` is beyond `end`, and the message is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.codec import wire
from cri_shim.codec.reading import DELIMITED_STEPS, Reading
from cri_shim.codec.schema import DELIMITED, Field, Label, Value
from cri_shim.codec.source import Written, indented

if TYPE_CHECKING:
    from collections.abc import Sequence

_SUPPORT = (wire.malformed, wire.read_length, wire.read_tag, wire.skip, wire.too_deep, wire.truncated)


@dataclass(frozen=True, slots=True)
class Entry:
    """The entries of all maps from one type to another."""

    key: Value
    value: Value

    def __str__(self) -> str:
        named = self.value.cls.__name__ if self.value.kind in ("message", "enum") else self.value.kind
        return f"map<{self.key.kind}, {named}>"


def message_decoder(cls: type, fields: Sequence[Field]) -> Written:
    """The source of `decode(data, pos, end, depth, m)`; nested are message classes, and the `Entry` of each map."""
    reading = Reading()
    reading.namespace |= {"cls": cls, "new": object.__new__, "name": cls.__name__}
    fresh = ["m = new(cls)", *(f"{_variable(field)} = {_empty(field, reading)}" for field in fields)]
    merged = ["lost = [m._unknown_fields]", *(f"{_variable(field)} = m.{field.name}" for field in fields)]
    opening = ["lost = None", "if m is None:", *indented(fresh), "else:", *indented(merged)]
    branches = [branch for field in fields for branch in _branches(field, fields, reading, cls.__name__)]
    closing = [f"m.{field.name} = {_variable(field)}" for field in fields]
    closing += ["m._unknown_fields = b''.join(lost) if lost else b''", "return m"]
    return _written("data, pos, end, depth, m", reading, opening, branches, closing)


def entry_decoder(entry: Entry) -> Written:
    """The source of `decode(data, pos, end, depth, name)`, which gives key and value; `name` is the map's, for errors.

    An entry is a message of two fields on the wire; what else is in it is dropped, as upb drops it.
    """
    reading, nested = Reading(), entry.value.kind == "message"
    label = Label.PRESENCE if nested else Label.PLAIN
    fields = (Field(1, "key", Label.PLAIN, entry.key), Field(2, "value", label, entry.value))
    opening = ["lost = None", *(f"{_variable(field)} = {_empty(field, reading)}" for field in fields)]
    branches = [branch for field in fields for branch in _branches(field, fields, reading, str(entry))]
    closing = ["if f2 is None:", f"    f2 = {reading.zero(entry.value)}"] if nested else []
    return _written("data, pos, end, depth, name", reading, opening, branches, [*closing, "return f1, f2"])


def _variable(field: Field) -> str:
    return f"f{field.number}"


def _empty(field: Field, reading: Reading) -> str:
    match field.label:
        case Label.MAP:
            return "{}"
        case Label.REPEATED:
            return "[]"
        case Label.PRESENCE:
            return "None"
        case Label.PLAIN:
            return reading.zero(field.value)


def _branches(field: Field, fields: Sequence[Field], reading: Reading, owner: str) -> list[list[str]]:
    """For each tag of the field a branch: its condition first, then its steps."""
    variable, condition = _variable(field), f"tag == {field.tag()}"
    if field.key:
        name = f"entry_{field.number}"
        reading.nested[name] = Entry(field.key, field.value)
        taken = f"k, v = {name}(data, pos, n, depth - 1, '{owner}.{field.name}')"
        return [[condition, *DELIMITED_STEPS, taken, f"{variable}[k] = v", "pos = n"]]
    if field.label is not Label.REPEATED:
        rivals = (other for other in fields if field.group and other.group == field.group and other is not field)
        return [[condition, *reading.one(field.value, variable), *(f"{_variable(rival)} = None" for rival in rivals)]]
    branches = [[condition, *reading.one(field.value, "v"), f"{variable}.append(v)"]]
    if field.value.packable:
        branches.append([f"tag == {field.tag(DELIMITED)}", *reading.packed(field.value, variable)])
    return branches


def _written(
    parameters: str, reading: Reading, opening: list[str], branches: list[list[str]], closing: list[str]
) -> Written:
    unknown = [
        "pos = skip(tag, data, pos, end, depth, name)",
        "if lost is None:",
        "    lost = []",
        "lost.append(data[start:pos])",
    ]
    chain: list[str] = []
    for condition, *steps in branches:
        chain += [f"{'elif' if chain else 'if'} {condition}:", *indented(steps)]
    loop = [
        "start = pos",
        "tag = data[pos]",
        "pos += 1",
        "if tag > 127:",
        "    tag, pos = read_tag(data, start, end, name)",
        *([*chain, "else:", *indented(unknown)] if chain else unknown),
    ]
    body = [
        "if depth < 0:",
        "    raise too_deep(name, pos)",
        *opening,
        "try:",
        "    while pos < end:",
        *indented(loop, 2),
        "except UnicodeDecodeError as error:",
        "    raise malformed(name, pos, f'a string that is not UTF-8 ({error.reason})') from error",
        "if pos > end:",
        "    raise truncated(name, start)",
        *closing,
    ]
    support = {function.__name__: function for function in _SUPPORT}
    return Written(
        "decode", [f"def decode({parameters}):", *indented(body)], reading.namespace | support, reading.nested
    )
