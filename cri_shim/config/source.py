"""A value and where it was written: what an error about it must name.

TOML becomes a tree of `Table` and `Value`, each with its origin. tomllib tells no lines, so they are looked up only
when something is to be said about a value: a second pass over the text, one statement at a time.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Path: TypeAlias = tuple[str, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def written(key: str) -> str:
    """One key as TOML spells it: bare where it can be, else in quotes."""
    return key if _BARE.fullmatch(key) else quoted(key)


def quoted(text: str) -> str:
    """A text as a TOML basic string: JSON's escapes, and one more for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@dataclass(frozen=True)
class Origin:
    """A key of a file; `str()` gives `file:line: key`, as far as it is known."""

    file: str
    text: str = field(default="", repr=False)
    path: Path = ()

    def __truediv__(self, key: str) -> Origin:
        return Origin(self.file, self.text, (*self.path, key))

    @property
    def key(self) -> str:
        """The whole key, dotted."""
        return ".".join(map(written, self.path))

    @property
    def line(self) -> int | None:
        """The line that the key, or the table nearest above it, is on."""
        lines = _lines(self.text)
        for depth in range(len(self.path), 0, -1):
            if line := lines.get(self.path[:depth]):
                return line
        return None

    @property
    def place(self) -> str:
        """`file:line`, or the file alone."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        return f"{self.place}: {self.key}"


@dataclass(frozen=True)
class Value:
    """A scalar or a list; tables in a list are plain dictionaries."""

    value: object
    origin: Origin


@dataclass
class Table:
    """A table; migrating and merging change it in place."""

    origin: Origin
    entries: dict[str, Table | Value] = field(default_factory=dict)

    def table(self, *keys: str) -> Table:
        """The table below at `keys`, made where there is none, or where something else than a table is."""
        here = self
        for key in keys:
            below = here.entries.get(key)
            if not isinstance(below, Table):
                below = here.entries[key] = Table(here.origin / key)
            here = below
        return here

    def find(self, *keys: str) -> Table | None:
        """The table below at `keys`, if there is one."""
        here: Table | Value | None = self
        for key in keys:
            here = here.entries.get(key) if isinstance(here, Table) else None
        return here if isinstance(here, Table) else None


def tree(data: Mapping[str, object], origin: Origin) -> Table:
    """What tomllib read, with origins."""
    return Table(origin, {key: node(value, origin / key) for key, value in data.items()})


def node(value: object, origin: Origin) -> Table | Value:
    """One value of what tomllib read, with its origin."""
    return tree(value, origin) if isinstance(value, dict) else Value(value, origin)


def plain(entry: Table | Value) -> object:
    """The value without its origins, as tomllib gave it."""
    if isinstance(entry, Value):
        return entry.value
    return {key: plain(below) for key, below in entry.entries.items()}


@lru_cache(maxsize=8)
def _lines(text: str) -> Mapping[Path, int]:
    """The line, from 1, of every key and table of a valid TOML text."""
    found: dict[Path, int] = {}
    table: Path = ()
    statement, start = "", 1
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        statement, start = (statement + line, start) if statement else (line, number)
        try:
            data = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # goes on in the next line: a list or a text of several lines
        if statement.lstrip().startswith("["):
            table = max(_paths(data, ()), key=len)
        for path in _paths(data, () if statement.lstrip().startswith("[") else table):
            found.setdefault(path, start)
        statement = ""
    return found


def _paths(data: Mapping[str, object], above: Path) -> Iterator[Path]:
    for key, value in data.items():
        yield (*above, key)
        if isinstance(value, list) and value == [{}]:  # a [[header]]
            value = value[0]  # noqa: PLW2901
        if isinstance(value, dict):
            yield from _paths(value, (*above, key))
