"""The way back, from the record of an installation and from what is there now: a decision about values."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.config.loader import CONTAINERD_FILE
from cri_shim.install import unit_files
from cri_shim.install.values import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cri_shim.install.values import Change, Content, Manifest


@dataclass(frozen=True)
class Undoing:
    """The plan, and the changes that can't be undone because somebody has changed the file since."""

    plan: Plan
    left: tuple[Change, ...]


def undoing(manifest: Manifest, contents: Mapping[str, Content | None], *, live: bool) -> Undoing:
    """What undoes the installation, last change first; `contents` has each of its paths as it is now."""
    back, left = [], []
    for change in reversed(manifest.changes):
        now = contents[change.path]
        if now == change.after and now != change.before:
            back.append(change.reversed())
        elif now not in (change.before, change.after):
            left.append(change)
    stop = ("systemctl", "stop", unit_files.SERVICE, unit_files.SOCKET)
    plan = Plan(
        tuple(back),
        commands=_commands(back) if live else (),
        notes=tuple(map(_note, left)),
        first=(stop,) if live and back else (),
    )
    return Undoing(plan, tuple(reversed(left)))


def _commands(changes: list[Change]) -> tuple[tuple[str, ...], ...]:
    if not changes:
        return ()
    moved = any(change.path.startswith(os.path.dirname(CONTAINERD_FILE)) for change in changes)
    containerd = [("systemctl", "restart", "containerd.service")] if moved else []
    return (("systemctl", "daemon-reload"), *containerd)


def _note(change: Change) -> str:
    return f"{change.path} has been changed since the installation, and is left: take out by hand what was for cri-shim"
