"""Settings as TOML: the whole of them, in containerd's version 3 layout, which every containerd 2 reads.

`load` gives the same settings back. The few lines of a TOML writer are our own: it writes what tomllib reads.
Source: TOML 1.0.0.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import typing
from collections.abc import Mapping

from cri_shim.config.durations import Seconds, render
from cri_shim.config.loader import PLUGINS
from cri_shim.config.source import quoted, written

if typing.TYPE_CHECKING:
    from collections.abc import Iterator

    from cri_shim.config.settings import Settings

VERSION = 3


def dump(settings: Settings) -> str:
    """The settings as a configuration file, defaults and passwords included."""
    return toml({"version": VERSION, **as_tree(settings)})


def as_tree(settings: Settings) -> dict[str, object]:
    """The settings as a file has them, but for its version: plain values, in tables by containerd's names."""
    plugins = {plugin: tree(getattr(settings, name)) for name, plugin in PLUGINS.items()}
    return {**tree(settings.containerd), "plugins": plugins}


def toml(table: Mapping[str, object]) -> str:
    """A TOML text of a tree of plain values."""
    return "\n".join(_lines(table, ())).strip("\n") + "\n"


def tree(settings: object) -> dict[str, object]:
    """The fields of a dataclass as plain values; a duration as Go writes it; an empty table left out."""
    hints = typing.get_type_hints(type(settings), include_extras=True)
    values = {name: _plain(getattr(settings, name), hint) for name, hint in hints.items()}
    return {name: value for name, value in values.items() if value != {}}


def _plain(value: object, hint: object) -> object:
    if hint == Seconds:
        return render(typing.cast("Seconds", value))
    if dataclasses.is_dataclass(value):
        return tree(value)
    inner = typing.get_args(hint)
    if isinstance(value, Mapping) and inner:
        return {key: _plain(below, inner[1]) for key, below in value.items()}
    if isinstance(value, tuple):
        return [_plain(item, inner[0]) for item in value]
    return value


def _lines(table: Mapping[str, object], path: tuple[str, ...]) -> Iterator[str]:
    """The statements of one table: its own values first, then the tables below it."""
    for key, value in table.items():
        if not _is_table(value) and not _is_list_of_tables(value):
            yield f"{written(key)} = {inline(value)}"
    for key, value in table.items():
        header = ".".join(map(written, (*path, key)))
        if _is_table(value):
            below = typing.cast("Mapping[str, object]", value)
            if not below or not all(map(_is_table, below.values())):
                yield f"\n[{header}]"
            yield from _lines(below, (*path, key))
        elif _is_list_of_tables(value):
            for item in typing.cast("list[Mapping[str, object]]", value):
                yield f"\n[[{header}]]"
                yield from _lines(item, (*path, key))


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_list_of_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_table, value))


def inline(value: object) -> str:  # noqa: PLR0911  (one line per kind of TOML value)
    """One value as TOML writes it on one line. TypeError for what TOML has no form for."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case float() if not math.isfinite(value):
            return str(value)  # nan, inf and -inf are TOML's spellings, too
        case int() | float():
            return repr(value)
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case list():
            return "[" + ", ".join(map(inline, value)) + "]"
        case Mapping():
            return "{" + ", ".join(f"{written(key)} = {inline(below)}" for key, below in value.items()) + "}"
    raise TypeError(f"TOML has no {type(value).__name__}: {value!r}")
