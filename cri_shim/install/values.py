"""What an installation is made of: contents of paths, changes from one to another, and the record of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MANIFEST = "/etc/cri-shim/installed.json"
MANIFEST_MODE = 0o600  # it holds what files were before, and containerd's may have passwords of registries

Mode = Literal["own-socket", "drop-in"]


@dataclass(frozen=True)
class Content:
    """What is at a path: a file of `text`, or with `link` a symbolic link to there."""

    text: str = ""
    mode: int = 0o644
    link: str = ""


@dataclass(frozen=True)
class Change:
    """One path that becomes otherwise, and why; None stands for nothing there."""

    path: str
    why: str
    before: Content | None
    after: Content | None

    def reversed(self) -> Change:
        """The way back."""
        return Change(self.path, self.why, self.after, self.before)


@dataclass(frozen=True)
class Plan:
    """What is to be done: commands, changes in order, commands again, and what only the operator can do."""

    changes: tuple[Change, ...]
    commands: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    first: tuple[tuple[str, ...], ...] = ()  # the commands before the changes


@dataclass(frozen=True)
class Manifest:
    """What an installation has changed, in order, and which directories it made; paths are the installed system's."""

    version: str
    mode: Mode
    changes: tuple[Change, ...]
    directories: tuple[str, ...] = ()

    def of(self, path: str) -> Change | None:
        """The change to `path`, if there was one."""
        return next((change for change in self.changes if change.path == path), None)
