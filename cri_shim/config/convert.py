"""From a tree of TOML values to the frozen dataclasses, by their type hints; every bad value is reported.

A key absent from the tree keeps the value of `base`; so a table in a file changes only what it names, and an entry of
a map (a handler, a pinned image) is laid over the default entry of that name.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from cri_shim.config.durations import Seconds, parse
from cri_shim.config.source import Table, Value, node, plain

if TYPE_CHECKING:
    from collections.abc import Hashable

    from _typeshed import DataclassInstance

    from cri_shim.config.report import Report
    from cri_shim.config.source import Path

T = TypeVar("T", bound="DataclassInstance")

RETIRED = {  # what containerd itself no longer reads
    "disable_cgroup": "containerd 2.0 dropped it",
    "systemd_cgroup": "set SystemdCgroup in the handler's options",
    "no_pivot": "containerd 2.0 dropped it",
    "default_runtime": "use default_runtime_name and runtimes",
    "untrusted_workload_runtime": 'use a handler named "untrusted"',
    "runtime_engine": "only runtime v1 had it",
    "runtime_root": "set Root in the handler's options",
    "plugin_dir": "containerd 2.0 dropped it",
}


class _BadValue(Exception):
    """What is allowed instead."""


def build(cls: type[T], table: Table, base: T, path: Path, report: Report) -> T:
    """`base` with what `table` says; unknown keys are warned of, values of a wrong kind reported as errors.

    `path` is where in Settings the result belongs. Keys match as Go's TOML matches them: without regard to case.
    """
    hints = _hints(cls)
    names = {name.lower(): name for name in hints}
    changes: dict[str, object] = {}
    for key, entry in table.entries.items():
        name = names.get(key.lower())
        if name is None:
            _unknown(key, entry, hints, report)
            continue
        present = getattr(base, name)
        try:
            changes[name] = _value(hints[name], entry, present, (*path, name), report)
        except _BadValue as bad:
            report.wrong(entry.origin, plain(entry), str(bad), secret=name in _secrets(cls))
        report.origins[*path, name] = entry.origin
    return dataclasses.replace(base, **changes)


def _unknown(key: str, entry: Table | Value, known: Mapping[str, object], report: Report) -> None:
    if reason := RETIRED.get(key):
        report.warnings.append(f"{entry.origin}: no longer has an effect: {reason}")
    else:
        report.unknown(entry.origin, known)


@cache
def _hints(cls: Hashable) -> Mapping[str, object]:
    return typing.get_type_hints(cls, include_extras=True)


@cache
def _secrets(cls: Hashable) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(typing.cast("type[Any]", cls)) if not field.repr)


def _value(hint: object, entry: Table | Value, base: object, path: Path, report: Report) -> object:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        default = base if isinstance(base, hint) else hint()
        return build(hint, _table(entry), default, path, report)
    arguments, origin = typing.get_args(hint), typing.get_origin(hint)
    if origin is tuple:
        return _list(arguments[0], entry, path, report)
    if origin is Mapping:
        return _map(arguments[1], entry, base, path, report)
    return _scalar(hint, entry, base)


def _table(entry: Table | Value) -> Table:
    if isinstance(entry, Table):
        return entry
    raise _BadValue("a table")


def _map(hint: object, entry: Table | Value, base: object, path: Path, report: Report) -> Mapping[str, object]:
    result = dict(base) if isinstance(base, Mapping) else {}
    for key, below in _table(entry).entries.items():
        here = (*path, key)
        report.origins[here] = below.origin
        try:
            result[key] = _value(hint, below, result.get(key), here, report)
        except _BadValue as bad:
            report.wrong(below.origin, plain(below), str(bad))
    return result


def _list(hint: object, entry: Table | Value, path: Path, report: Report) -> tuple[object, ...]:
    if not isinstance(entry, Value) or not isinstance(entry.value, list):
        raise _BadValue("a list")
    items: list[object] = []
    for index, item in enumerate(entry.value):
        try:
            items.append(_value(hint, node(item, entry.origin / str(index)), None, (*path, str(index)), report))
        except _BadValue as bad:
            raise _BadValue(f"a list, and each item of it {bad}") from None
    return tuple(items)


def _scalar(hint: object, entry: Table | Value, base: object) -> object:
    if hint is object:
        return plain(entry)
    value = entry.value if isinstance(entry, Value) else None
    if hint == Seconds:
        return _seconds(value, base)
    for kind, allowed in ((bool, "true or false"), (int, "a whole number"), (str, 'a text in quotes, "like this"')):
        if hint is kind:
            if type(value) is not kind:
                raise _BadValue(allowed)
            return value
    raise AssertionError(f"settings have a field of a kind that can't be read: {hint}")


def _seconds(value: object, base: object) -> Seconds:
    """A duration; an empty text stands for the default, as containerd has it."""
    if value == "":
        return base if isinstance(base, float) else 0.0
    if not isinstance(value, str):
        raise _BadValue('a duration in quotes, such as "10s" or "1m30s"')
    try:
        span = parse(value)
    except ValueError as error:
        raise _BadValue(f"a duration: {error}") from None
    if span < 0:
        raise _BadValue("a duration of zero or more")
    return span
