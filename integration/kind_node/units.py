"""systemd's units of a root file system, as far as a node without systemd can do what they say."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from integration.harness.errors import HarnessError
from integration.harness.inside import resolve

if TYPE_CHECKING:
    from pathlib import Path

# In systemd's order (systemd.unit(5), "Unit File Load Path").
_DIRECTORIES: Final = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
_PREFIXES: Final = "-@:+!"  # of a command (systemd.service(5), "Command Lines")


@dataclass(frozen=True)
class Unit:
    """A unit file: the values of each `section.Key`, in order."""

    name: str
    settings: dict[str, tuple[str, ...]]

    @classmethod
    def read(cls, root: Path, name: str) -> Unit:
        """The unit as systemd would find it; raises `HarnessError` when there is none."""
        for directory in _DIRECTORIES:
            path = resolve(root, f"{directory}/{name}")
            if path.exists():
                return cls(name, _parse(path.read_text()))
        raise HarnessError(f"there is no unit {name}")

    def one(self, key: str, default: str = "") -> str:
        """The last value of a key, which is the one that counts."""
        return self.settings.get(key, (default,))[-1]

    @property
    def command(self) -> list[str]:
        """The program of a service, and its arguments."""
        return shlex.split(self.one("Service.ExecStart").lstrip(_PREFIXES))

    @property
    def notifies(self) -> bool:
        """Whether the service says itself when it has started."""
        return self.one("Service.Type") == "notify"

    @property
    def stream(self) -> str:
        """The path that a socket unit listens at."""
        return self.one("Socket.ListenStream")

    def starts_at_boot(self, root: Path) -> bool:
        """Whether a target that a node boots into wants it."""
        targets = self.settings.get("Install.WantedBy", ())
        return any(resolve(root, f"/etc/systemd/system/{target}.wants/{self.name}").exists() for target in targets)


def _parse(text: str) -> dict[str, tuple[str, ...]]:
    settings: dict[str, tuple[str, ...]] = {}
    section = ""
    for line in text.replace("\\\n", " ").splitlines():
        stripped = line.strip()
        if stripped.startswith("["):
            section = stripped.strip("[]")
        elif stripped and stripped[0] not in "#;":
            key, _, value = stripped.partition("=")
            name = f"{section}.{key.strip()}"
            settings[name] = (*settings.get(name, ()), value.strip())
    return settings
