"""From files and the command line to `Settings`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cri_shim.config.convert import build
from cri_shim.config.effective import effective
from cri_shim.config.files import merged
from cri_shim.config.migrate import CRI, IMAGES, RUNTIME, SHIM, TASKS, TRANSFER
from cri_shim.config.report import Report
from cri_shim.config.settings import Settings
from cri_shim.config.source import Table, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cri_shim.config.source import Origin, Path

CONTAINERD_FILE = "/etc/containerd/config.toml"
OWN_FILE = "/etc/cri-shim/config.toml"

PLUGINS = {
    "runtime": RUNTIME,
    "images": IMAGES,
    "streaming": CRI,
    "transfer": TRANSFER,
    "tasks": TASKS,
    "shim": SHIM,
}
"""The attribute of Settings and the plugin whose table it is."""


@dataclass(frozen=True)
class Loaded:
    """Settings, and what an operator should hear about them, one line each.

    `origins` says where each was written, by its path in Settings; `foreign` are tables of containerd's other plugins.
    """

    settings: Settings
    warnings: tuple[str, ...]
    origins: Mapping[Path, Origin] = field(default_factory=dict)
    foreign: tuple[Origin, ...] = ()


def default_files() -> list[str]:
    """The files read where none are named: containerd's, and ours on top of it, as far as they exist."""
    return [path for path in (CONTAINERD_FILE, OWN_FILE) if os.path.exists(path)]


def load(files: Iterable[str] = (), overrides: Mapping[str, object] | None = None, *, root: str = "/") -> Loaded:
    """The settings that `files` give, each laid over those before it, and `overrides` over all.

    `overrides` is a tree as TOML's version 3 layout has it: `{"plugins": {"io.cri-shim.v1": {"address": …}}}`.
    `root` is where the `/` is that all paths begin with: another directory while an image is built.
    Raises ConfigInvalid with every problem of every file. Blocks on the files.
    """
    report = Report()
    settings = effective(_settings(merged(files, overrides or {}, report, root), report), report)
    return Loaded(settings, report.finish(), report.origins, tuple(report.foreign))


def default() -> Settings:
    """The settings without any file."""
    return load().settings


def _settings(root: Table, report: Report) -> Settings:
    base = Settings()
    plugins = root.entries.pop("plugins", None)
    if isinstance(plugins, Value):
        report.wrong(plugins.origin, plugins.value, "a table")
    tables = plugins.entries if isinstance(plugins, Table) else {}
    sections: dict[str, object] = {}
    for name, plugin in PLUGINS.items():
        table = tables.pop(plugin, None)
        if isinstance(table, Value):
            report.wrong(table.origin, table.value, "a table")
        elif table is not None:
            sections[name] = build(type(getattr(base, name)), table, getattr(base, name), (name,), report)
    containerd = build(type(base.containerd), root, base.containerd, ("containerd",), report)
    _misspelt(tables, report)
    return replace(base, containerd=containerd, **sections)  # type: ignore[arg-type]


def _misspelt(others: Mapping[str, Table | Value], report: Report) -> None:
    """Other plugins' tables are containerd's business, but for one that could only be meant for us."""
    for plugin, entry in others.items():
        if plugin.startswith(("io.containerd.cri.", "io.cri-shim.", "cri-shim")):
            report.unknown(entry.origin, PLUGINS.values())
        else:
            report.foreign.append(entry.origin)
