"""Where cgroups are found: by a process that is in them, or by their path.

The mounts are looked at once: which controller is where, and from which path of the hierarchy on it is shown. Paths
are those of our own cgroup namespace, as /proc tells them (cgroup_namespaces(7)).
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.errors import NotFound
from cri_shim.linux import cgroups, mountinfo
from cri_shim.stats.group import Group, SplitGroup, UnifiedGroup

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cri_shim.linux.cgroups import Membership
    from cri_shim.linux.mountinfo import MountPoint

CONTROLLERS = ("cpuacct", "cpu", "memory", "pids", "blkio", "hugetlb", "")
"""The v1 hierarchies that are read; "" is v2's corner beside them."""


@dataclass(frozen=True, slots=True)
class Mounted:
    """A hierarchy's mount: the directory, and the path of the hierarchy that is to be seen there."""

    target: str
    root: str = "/"

    def directory(self, path: str) -> str | None:
        """Where the group `path` is seen; None for one that isn't."""
        inside = posixpath.relpath(path, self.root)
        if path.startswith("/..") or inside.startswith(".."):  # outside of our namespace, or of what is mounted
            return None
        return os.path.normpath(os.path.join(self.target, inside))


class Hierarchies:
    """The node's cgroup hierarchies: `unified`, v2's one, or `split`, by controller."""

    def __init__(self, *, unified: Mounted | None = None, split: Mapping[str, Mounted] | None = None) -> None:
        self._unified = unified
        self._split = dict(split or {})

    @classmethod
    def of_this_node(cls) -> Hierarchies:
        """The hierarchies that are mounted here. Blocks; raises OSError."""
        mounts = mountinfo.read()
        if cgroups.unified():
            return cls(unified=next(iter(_unified(mounts)), Mounted(cgroups.ROOT)))
        return cls(split=_split(mounts))

    def of_process(self, pid: int, container_id: str = "") -> Group:
        """The group that a container's process is in, or was made in: up to the name with the container's id.

        A container that brings its own init may have moved that into a group further down. Blocks; raises NotFound
        when the process has ended.
        """
        try:
            members = cgroups.memberships(pid)
        except (FileNotFoundError, ProcessLookupError):
            raise NotFound(f"process {pid} has ended") from None
        paths = {name: up_to(member.path, container_id) for member in members for name in _names(member)}
        path = paths.get("") if self._unified else paths.get("memory", paths.get("cpuacct"))
        return self._group(path or "/", paths)

    def of_path(self, path: str) -> Group:
        """The group at `path`, a systemd slice's name being looked up where systemd puts it."""
        path = slice_path(path)
        return self._group(path, dict.fromkeys(CONTROLLERS, path))

    def _group(self, path: str, paths: Mapping[str, str]) -> Group:
        if self._unified is not None:
            directory = self._unified.directory(paths.get("", path))
            if directory is None:
                raise NotFound(f"cgroup {path} is out of our sight")
            return UnifiedGroup(path, directory)
        found = {name: self._split[name].directory(paths[name]) for name in self._split if name in paths}
        return SplitGroup(path, {name: directory for name, directory in found.items() if directory is not None})


def up_to(path: str, container_id: str) -> str:
    """`path` cut off behind the last name that holds `container_id`; as it is where none does."""
    names = path.split("/")
    for index in range(len(names) - 1, 0, -1):
        if container_id and container_id in names[index]:
            return "/".join(names[: index + 1])
    return path


def slice_path(path: str) -> str:
    """`a-b.slice` is at `/a.slice/a-b.slice` (systemd.slice(5)); any other path is what it says."""
    name = path.strip("/")
    if "/" in name or not name.endswith(".slice"):
        return "/" + name
    parts = name.removesuffix(".slice").split("-")
    return "/" + "/".join("-".join(parts[: count + 1]) + ".slice" for count in range(len(parts)))


def _names(member: Membership) -> tuple[str, ...]:
    return member.controllers if member.hierarchy else ("",)


def _unified(mounts: Iterable[MountPoint]) -> list[Mounted]:
    return _widest_first(Mounted(mount.target, mount.root) for mount in mounts if mount.fstype == "cgroup2")


def _split(mounts: Iterable[MountPoint]) -> dict[str, Mounted]:
    mounts = list(mounts)
    found = {}
    for name in CONTROLLERS:
        shown = _widest_first(
            Mounted(mount.target, mount.root)
            for mount in mounts
            if mount.fstype == "cgroup" and name in mount.super_options
        )
        if shown or (shown := _unified(mounts) if not name else []):
            found[name] = shown[0]
    return found


def _widest_first(mounts: Iterable[Mounted]) -> list[Mounted]:
    """The mounts, those that show more of a hierarchy first, and those below /sys first among them."""
    return sorted(mounts, key=lambda mount: (len(mount.root), not mount.target.startswith(cgroups.ROOT)))
