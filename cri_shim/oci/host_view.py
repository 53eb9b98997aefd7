"""What the spec of a container has to know of the node's file system: a small door, so that the rest stays pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol


class Propagation(enum.Enum):
    """How mounts spread from a mount."""

    PRIVATE = "private"
    SHARED = "shared"
    SLAVE = "slave"


@dataclass(frozen=True)
class HostMount:
    """The mount that a path is on: where it is mounted, and how mounts spread from it."""

    point: str
    propagation: Propagation


@dataclass(frozen=True)
class HostDevice:
    """A device node of the host; `type` is "b" or "c", `mode` the permission bits.

    `path` has no symbolic links; `below` is the path relative to the directory asked for, "" for the path itself.
    """

    path: str
    below: str
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

    def mount_of(self, real_path: str) -> HostMount:
        """The mount that the path is on. Raises OSError."""

    def relabel(self, real_path: str, label: str) -> None:
        """Give the path, and all below it, an SELinux label. Raises OSError, with EPERM for what is the node's own."""

    def devices(self, path: str) -> list[HostDevice]:
        """The device at `path`, or all devices below the directory. Raises OSError, with ENODEV for anything else."""

    def device(self, path: str) -> HostDevice:
        """The device or FIFO (type "p") at `path`, no link. Raises OSError, with ENODEV for anything else."""

    def all_devices(self) -> list[HostDevice]:
        """The devices in /dev that a privileged container gets. Raises OSError."""

    def seccomp_profile(self, path: str) -> bytes:
        """The content of a Localhost profile. Raises OSError."""

    def rdt_classes(self) -> frozenset[str] | None:
        """The groups of resctrl; None where it isn't mounted."""

    def apparmor_loaded(self, name: str) -> bool:
        """Whether the kernel has an AppArmor profile of that name; containers' default one is loaded if need be.

        Raises OSError.
        """
