"""CRI messages in the JSON that containerd's CRI plugin stores them in.

The plugin marshals the generated Go structs with `encoding/json`: neither protojson nor our own form. Names are the
proto's, enums are integers, 64-bit integers are numbers, zero values and empty lists and maps are left out, and a
message that is present stays present even when empty, because `run_as_user: {}` (user 0) and no `run_as_user` at all
are different wishes. `KeyValue.value` is bytes on the wire and a string here. Unknown keys are skipped, as Go does.

Source: `encoding/json`, and the struct tags of k8s.io/cri-api's `api.pb.go`.
"""

from __future__ import annotations

import dataclasses
import typing
from functools import cache
from typing import Any, TypeVar, cast

import betterproto2

from cri_shim.errors import DataLoss

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
M = TypeVar("M", bound=betterproto2.Message)

# The proto spells these in camel case, betterproto2 in snake case.
_NAMES = {"uid_mappings": "uidMappings", "gid_mappings": "gidMappings"}


@dataclasses.dataclass(frozen=True)
class _Field:
    """One field of a message: how it is called on both sides and what its values are."""

    attribute: str
    key: str
    kind: str
    repeated: bool
    is_map: bool
    type: type[Any] | None  # of the message or enum, also inside a list or as a map's value


@cache
def _fields(cls: type[betterproto2.Message]) -> tuple[_Field, ...]:
    hints = typing.get_type_hints(cls, vars(__import__(cls.__module__, fromlist=["_"])))
    fields = dataclasses.fields(cast("type[Any]", cls))
    return tuple(_field(field, hints[field.name]) for field in fields)


def _field(field: dataclasses.Field[Any], hint: Any) -> _Field:
    meta = field.metadata["betterproto"]
    is_map = meta.map_meta is not None
    kind = meta.map_meta[1].proto_type if is_map else meta.proto_type
    inner = [part for part in typing.get_args(hint) or (hint,) if part is not type(None)]
    return _Field(
        attribute=field.name,
        key=_NAMES.get(field.name, field.name),
        kind=kind,
        repeated=meta.repeated,
        is_map=is_map,
        type=inner[-1] if kind in ("message", "enum") else None,
    )


def to_json_value(message: betterproto2.Message) -> dict[str, Json]:
    """`message` as the object that Go would write, ready for a JSON encoder."""
    out: dict[str, Json] = {}
    for field in _fields(type(message)):
        value = getattr(message, field.attribute)
        if field.kind == "message" and not (field.repeated or field.is_map):
            if value is not None:
                out[field.key] = to_json_value(value)
        elif not value:
            continue
        elif field.is_map:
            out[field.key] = {str(k): _encode(field, value[k]) for k in sorted(value)}
        elif field.repeated:
            out[field.key] = [_encode(field, item) for item in value]
        else:
            out[field.key] = _encode(field, value)
    return out


def _encode(field: _Field, value: Any) -> Json:
    match field.kind:
        case "message":
            return to_json_value(value)
        case "enum":
            return int(value)
        case "bytes":
            return bytes(value).decode("utf-8", "replace")
        case _:
            return cast("Json", value)


def from_json_value(cls: type[M], value: Json) -> M:
    """The message that `value`, as Go would have written it, stands for; unknown keys are skipped.

    Raises DataLoss when a value has another shape than the field's.
    """
    if not isinstance(value, dict):
        raise DataLoss(f"stored {cls.__name__} is {type(value).__name__}, not an object: {value!r:.80}")
    arguments: dict[str, Any] = {}
    for field in _fields(cls):
        found = value.get(field.key)
        if found is not None:
            try:
                arguments[field.attribute] = _decode_field(field, found)
            except (TypeError, ValueError, AttributeError) as error:
                raise DataLoss(f"stored {cls.__name__}.{field.key} can't be read: {error}") from error
    return cls(**arguments)


def _decode_field(field: _Field, value: Any) -> Any:
    if field.is_map:
        return {key: _decode(field, item) for key, item in value.items()}
    if field.repeated:
        return [_decode(field, item) for item in value]
    return _decode(field, value)


_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "bool": (bool,),
    "float": (int, float),
    "double": (int, float),
}


def _decode(field: _Field, value: Any) -> Any:
    match field.kind:
        case "message":
            return from_json_value(cast("type[betterproto2.Message]", field.type), value)
        case "enum":
            return cast("type[betterproto2.Enum]", field.type)(int(value))
        case "bytes":
            return str(value).encode()
        case kind:
            if not isinstance(value, _SCALARS.get(kind, (int,))):
                raise TypeError(f"{value!r:.80} is no {kind}")
            return value
