"""Which cgroups there are: one unified hierarchy or several, their controllers, and our own place (cgroups(7))."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cri_shim.linux import syscalls

ROOT: Final = "/sys/fs/cgroup"
_PROC_CGROUPS_FIELDS: Final = 4


@dataclass(frozen=True, slots=True)
class Membership:
    """One line of /proc/<pid>/cgroup; the unified hierarchy has id 0 and no controllers."""

    hierarchy: int
    controllers: tuple[str, ...]
    path: str


def unified() -> bool:
    """Whether /sys/fs/cgroup is cgroup v2 alone; a hybrid set-up, where v2 has a corner, is v1."""
    return syscalls.filesystem_type(ROOT) == syscalls.CGROUP2_MAGIC


def controllers() -> frozenset[str]:
    """The controllers that the kernel offers: v2's `cgroup.controllers` at the root, or v1's enabled subsystems."""
    if unified():
        with open(f"{ROOT}/cgroup.controllers", encoding="ascii") as file:
            return frozenset(file.read().split())
    with open("/proc/cgroups", encoding="ascii") as file:
        return parse_subsystems(file.read())


def memberships(pid: int | str = "self") -> tuple[Membership, ...]:
    """The cgroups of process `pid`; raises `FileNotFoundError` or `ProcessLookupError` when it is gone."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        return parse_memberships(file.read())


def own_group() -> str:
    """Our own cgroup's path in the unified hierarchy; "/" where there is none."""
    return next((member.path for member in memberships() if member.hierarchy == 0), "/")


def parse_memberships(text: str) -> tuple[Membership, ...]:
    """The lines of a /proc/<pid>/cgroup file."""
    found = []
    for line in text.splitlines():
        hierarchy, names, path = line.split(":", 2)
        found.append(Membership(int(hierarchy), tuple(name for name in names.split(",") if name), path))
    return tuple(found)


def parse_subsystems(text: str) -> frozenset[str]:
    """The enabled subsystems of a /proc/cgroups file."""
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return frozenset(row[0] for row in rows if len(row) == _PROC_CGROUPS_FIELDS and row[3] == "1")
