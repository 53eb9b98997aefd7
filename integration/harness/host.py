"""What the machine must have for a node, and where its cgroups are; a lack is said plainly, with what mends it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

from cri_shim.linux import cgroups, mountinfo, syscalls
from integration.harness.enclosure.plan import Hierarchy
from integration.harness.errors import HarnessError

if TYPE_CHECKING:
    from pathlib import Path

_OVERLAY_MAGIC: Final = 0x794C7630  # linux/magic.h
_NEEDED: Final = 2 << 30  # bytes: a node's images, unpacked twice, and its log files


def require_node() -> None:
    """Raise `HarnessError` when no node can be started by this process on this machine."""
    if os.geteuid() != 0:
        raise HarnessError("a node takes root: it has namespaces, mounts and cgroups", remedy="sudo make demo")
    with open("/proc/filesystems", encoding="ascii") as file:
        if "\toverlay\n" not in file.read():
            raise HarnessError("the kernel has no overlay file system loaded", remedy="modprobe overlay")
    require_programs("nsenter")


def require_programs(*names: str) -> None:
    """Raise `HarnessError` with the packages that hold those of the programs `names` that are missing."""
    packages = {"mmdebstrap": "mmdebstrap", "gcc": "gcc libc6-dev", "nsenter": "util-linux", "mke2fs": "e2fsprogs"}
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in names if not shutil.which(name, path=path)]
    if missing:
        wanted = " ".join(packages.get(name, name) for name in missing)
        raise HarnessError(f"missing on this machine: {', '.join(missing)}", remedy=f"sudo apt-get install {wanted}")


def require_disk(directory: Path, needed: int = _NEEDED) -> None:
    """Raise `HarnessError` when overlays can't write below `directory`, or fewer than `needed` bytes are free there.

    An overlay's upper directory can't be on another overlay, as in most containers (kernel, overlayfs.rst).
    """
    remedy = "export CRI_SHIM_CACHE=/a/directory/on/a/disk/with/space   (in a container: a volume)"
    if syscalls.filesystem_type(str(directory)) == _OVERLAY_MAGIC:
        raise HarnessError(f"{directory} is on an overlay file system, where no other overlay can write", remedy=remedy)
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise HarnessError(f"{directory} has {free >> 20} MiB free, and {needed >> 20} MiB are needed", remedy=remedy)


def hierarchies() -> tuple[Hierarchy, ...]:
    """The cgroup hierarchies of the machine, each with this process's own group in it."""
    own = {frozenset(one.controllers): one.path for one in cgroups.memberships()}
    found = []
    for mount in mountinfo.read():
        if not mount.target.startswith(cgroups.ROOT) or mount.fstype not in ("cgroup", "cgroup2"):
            continue
        unified = mount.fstype == "cgroup2"
        names = frozenset() if unified else frozenset(mount.super_options) & _v1_names(own)
        below = own.get(names, "/")
        options = _v1_options(mount.super_options, names)
        found.append(Hierarchy(mount.target, _directory(mount.target, mount.root, below, unified), unified, options))
    if not found:
        raise HarnessError("no cgroups are mounted on /sys/fs/cgroup", remedy="mount -t cgroup2 none /sys/fs/cgroup")
    return tuple(found)


def _v1_names(own: dict[frozenset[str], str]) -> frozenset[str]:
    return frozenset[str]().union(*own)


def _v1_options(super_options: tuple[str, ...], names: frozenset[str]) -> str:
    """mount(2)'s data for a v1 hierarchy that exists: its controllers, or its name where it has none."""
    named = [option for option in super_options if option.startswith("name=")]
    return ",".join(["none", *named] if named else sorted(names))


def _directory(mountpoint: str, mounted_root: str, group: str, unified: bool) -> str:  # noqa: FBT001
    """Where `group` is seen. In v2 a group with processes can't have groups with controllers, so it is the root."""
    if unified or not group.startswith(mounted_root):
        return mountpoint
    below = os.path.relpath(group, mounted_root)
    return os.path.normpath(os.path.join(mountpoint, below))
