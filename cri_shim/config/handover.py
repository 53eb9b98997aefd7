"""From an existing containerd configuration to a file of our own: what differs from the defaults, and who said so.

What only containerd acts on stays in containerd's file, and is named; so is what has no effect here, with the reason.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cri_shim.config.difference import OURS_AT_TOP, leaves
from cri_shim.config.loader import PLUGINS, default
from cri_shim.config.migrate import TASKS, TRANSFER
from cri_shim.config.source import written
from cri_shim.config.writer import VERSION, as_tree, inline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cri_shim.config.loader import Loaded
    from cri_shim.config.source import Path

_TRANSFER = 'images are pulled by containerd\'s Transfer service: see plugins."io.containerd.transfer.v1.local"'
WITHOUT_EFFECT: Mapping[str, str] = {
    r"streaming\.disable_tcp_service": "cri-shim serves gRPC on a Unix socket only",
    r"runtime\.stats_retention_period": "no history of stats is kept",
    r"runtime\.containerd\.runtimes\.[^.]+\.disable_pause_image_pull": "the sandbox image is pulled wherever it lacks",
    r"images\.image_decryption\.key_model": "containerd decrypts, as its stream_processors say",
    r"images\.(use_local_image_pull|max_concurrent_downloads|concurrent_layer_fetch_buffer)": _TRANSFER,
}
"""Keys that are read, so that a file of containerd's is no error, and change nothing; patterns of paths in Settings."""

DIFFERENT_DEFAULTS: Mapping[str, str] = {
    "runtime.drain_exec_sync_io_timeout": "0 is 15 s here (drain_exec_sync_io_timeout in our own table), for ever in "
    "containerd",
}
"""Keys whose default means something else than in containerd."""

_CONTAINERDS_PLUGINS = (TRANSFER, TASKS)
_ABSENT = object()


def handover(loaded: Loaded, files: Sequence[str]) -> str:
    """The text of /etc/cri-shim/config.toml that goes with `loaded`, the settings that `files` give.

    Read alone, it gives the same settings for everything that cri-shim acts on. Passwords of registries are in it.
    """
    return "\n".join(_lines(loaded, files)) + "\n"


def _lines(loaded: Loaded, files: Sequence[str]) -> Iterator[str]:
    yield f"# From {', '.join(files)}, by `cri-shim config migrate`; its place is /etc/cri-shim/config.toml."
    yield "# What is not here has its default (`cri-shim config default`)."
    yield f"version = {VERSION}"
    settings, defaults = (dict(leaves(as_tree(one), ())) for one in (loaded.settings, default()))
    changed = {
        path: value
        for path, value in settings.items()
        if defaults.get(path, _ABSENT) != value and (path in defaults or attribute_path(path) in loaded.origins)
    }
    ours = {path: value for path, value in changed.items() if _is_ours(path) and not _reason(path)}
    yield from _tables(ours, defaults, loaded)
    yield from _notes("Has no effect here", [_note(path, loaded, _reason(path)) for path in changed if _reason(path)])
    stays = [_note(path, loaded) for path in changed if not _is_ours(path)]
    yield from _notes("Stays in containerd's own file, which acts on it", [*stays, *map(str, loaded.foreign)])
    yield from _notes("Means something else than in containerd", [*_otherwise(changed)])
    yield from _notes("To be looked at", loaded.warnings)


def _tables(values: Mapping[Path, object], defaults: Mapping[Path, object], loaded: Loaded) -> Iterator[str]:
    """The values in their tables, the top level first; each with its default and its place."""
    tables: dict[Path, list[str]] = {(): []}
    for path, value in values.items():
        said = [f"default: {inline(defaults[path])}"] if path in defaults else []
        origin = loaded.origins.get(attribute_path(path))
        said += [origin.place] if origin else []
        line = f"{written(path[-1])} = {inline(value)}" + (f"  # {'; '.join(said)}" if said else "")
        tables.setdefault(path[:-1], []).append(line)
    for table, lines in tables.items():
        if table:
            yield f"\n[{'.'.join(map(written, table))}]"
        yield from lines


def _is_ours(path: Path) -> bool:
    if path[0] != "plugins":
        return path in OURS_AT_TOP
    return path[1] not in _CONTAINERDS_PLUGINS


def _reason(path: Path) -> str:
    attribute = ".".join(attribute_path(path))
    return next((reason for pattern, reason in WITHOUT_EFFECT.items() if re.fullmatch(pattern, attribute)), "")


def _note(path: Path, loaded: Loaded, reason: str = "") -> str:
    origin = loaded.origins.get(attribute_path(path))
    place = str(origin) if origin else ".".join(map(written, path))
    return f"{place}: {reason}" if reason else place


def _otherwise(changed: Mapping[Path, object]) -> Iterator[str]:
    """Of what is left at its default, where cri-shim and containerd part."""
    attributes = {".".join(attribute_path(path)) for path in changed}
    for attribute, reason in DIFFERENT_DEFAULTS.items():
        if attribute not in attributes:
            yield f"{attribute.partition('.')[2]}: {reason}"


def _notes(title: str, notes: Sequence[str]) -> Iterator[str]:
    if notes:
        yield f"\n# {title}:"
        yield from (f"#   {line}" for note in notes for line in note.splitlines())


def attribute_path(path: Path) -> Path:
    """Where in Settings the value of a file's key is."""
    if path[0] != "plugins":
        return ("containerd", *path)
    name = next(attribute for attribute, plugin in PLUGINS.items() if plugin == path[1])
    return (name, *path[2:])
