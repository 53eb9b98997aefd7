"""Configuration files and what they import, merged into one tree as containerd merges them.

Breadth first: a file, then its imports, then theirs; each file once; each read by its own `version`. A later file
overrides an earlier one key by key, tables within tables included. A list in a plugin's table replaces the earlier
one; a list at the top level (`disabled_plugins`) gains what it lacks. An entry of `timeouts`, `proxy_plugins` and
`stream_processors` replaces the earlier entry as a whole.
Source: containerd `cmd/containerd/server/config/config.go` (`LoadConfig`, `mergeConfig`) and the tests beside it.
"""

from __future__ import annotations

import glob
import os
import tomllib
from collections import deque
from typing import TYPE_CHECKING

from cri_shim.config.migrate import NEWEST_VERSION, migrate
from cri_shim.config.source import Origin, Table, Value, tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cri_shim.config.report import Report

COMMAND_LINE = "command line"
_REPLACED_BY_ENTRY = {"timeouts", "proxy_plugins", "stream_processors"}


def merged(files: Iterable[str], overrides: Mapping[str, object], report: Report, root: str = "/") -> Table:
    """One tree in version 3's layout, of `files` in order, their imports, and `overrides` on top of all.

    Paths, those in the files too, are of a system whose `/` is at `root`.
    """
    result = Table(Origin("default"))
    pending, seen = deque(os.path.abspath(file) for file in files), set[str]()
    while pending:
        path = pending.popleft()
        if path in seen:
            continue
        seen.add(path)
        if (file := _read(path, report, root)) is None:
            continue
        imports = _imports(path, file, report, root)
        migrate(file, _version(file, report))
        merge(result, file)
        pending.extend(imports)
    merge(result, tree(overrides, Origin(COMMAND_LINE)))
    return result


def merge(into: Table, file: Table) -> None:
    """Lay one migrated file over what the earlier ones said, in place."""
    for key, entry in file.entries.items():
        present = into.entries.get(key)
        if key in _REPLACED_BY_ENTRY and isinstance(present, Table) and isinstance(entry, Table):
            present.entries.update(entry.entries)
        elif isinstance(present, Value) and isinstance(entry, Value):
            into.entries[key] = _united(present, entry)
        else:
            _overlay(into, key, entry)


def _overlay(into: Table, key: str, entry: Table | Value) -> None:
    present = into.entries.get(key)
    if not (isinstance(present, Table) and isinstance(entry, Table)):
        into.entries[key] = entry
        return
    for below, value in entry.entries.items():
        _overlay(present, below, value)


def _united(present: Value, entry: Value) -> Value:
    if not (isinstance(present.value, list) and isinstance(entry.value, list)):
        return entry
    return Value(present.value + [item for item in entry.value if item not in present.value], entry.origin)


def _read(path: str, report: Report, root: str) -> Table | None:
    try:
        with open(_inside(root, path), encoding="utf-8") as file:
            text = file.read()
        return tree(tomllib.loads(text), Origin(path, text))
    except OSError as error:
        report.errors.append(f"{path}: can't be read: {error.strerror}")
    except UnicodeDecodeError as error:
        report.errors.append(f"{path}: is not UTF-8 text, which TOML must be: byte {error.start}")
    except tomllib.TOMLDecodeError as error:
        report.errors.append(f"{path}: is not TOML: {error}")
    return None


def _version(file: Table, report: Report) -> int:
    """The file's version; one without is of version 1, as for containerd."""
    match file.entries.pop("version", None):
        case None:
            return 1
        case Value(int() as version) if 0 <= version <= NEWEST_VERSION and not isinstance(version, bool):
            return version
        case Value(value, origin):
            report.wrong(origin, value, f"a whole number up to {NEWEST_VERSION}, the newest version known")
        case Table(origin):
            report.wrong(origin, "a table", f"a whole number up to {NEWEST_VERSION}")
    return NEWEST_VERSION


def _imports(parent: str, file: Table, report: Report, root: str) -> list[str]:
    entry = file.entries.pop("imports", None)
    if entry is None:
        return []
    patterns = entry.value if isinstance(entry, Value) else None
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        report.wrong(entry.origin, patterns, "a list of paths")
        return []
    paths: list[str] = []
    for pattern in patterns:
        path = os.path.normpath(os.path.join(os.path.dirname(parent), pattern))
        paths.extend(_matching(path, root) if "*" in path else [path])
    return paths


def _matching(pattern: str, root: str) -> list[str]:
    found = glob.glob(_inside(glob.escape(root), pattern), include_hidden=True)
    return sorted(f"/{os.path.relpath(path, root)}" for path in found)


def _inside(root: str, path: str) -> str:
    return os.path.join(root, path.lstrip("/"))
