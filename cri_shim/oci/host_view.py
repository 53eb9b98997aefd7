"""What the spec of a container has to know of the node's file system: a small door, so that the rest stays pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol


class Propagation(enum.Enum):
    """How mounts spread from the mount that a path is on."""

    PRIVATE = "private"
    SHARED = "shared"
    SLAVE = "slave"


@dataclass(frozen=True)
class HostDevice:
    """A device node of the host; `type` is "b" or "c", `mode` the permission bits."""

    path: str
    type: str
    major: int
    minor: int
    mode: int
    uid: int
    gid: int


class HostView(Protocol):
    """The node's file system. Every method may block: callers work in a thread."""

    def real_path(self, path: str) -> str:
        """`path` without symbolic links; a missing one is made, as a directory (0755). Raises OSError."""

    def propagation(self, real_path: str) -> Propagation:
        """The propagation of the mount that the path is on. Raises OSError."""

    def devices(self, path: str) -> list[HostDevice]:
        """The device at `path`, or all devices below it; empty for what is neither. Raises OSError."""

    def all_devices(self) -> list[HostDevice]:
        """The devices in /dev that a privileged container gets."""

    def seccomp_profile(self, path: str) -> bytes:
        """The content of a Localhost profile. Raises OSError."""
