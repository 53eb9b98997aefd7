"""The node's file system as specs ask for it. Everything here may block."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cri_shim.linux.mounts import propagation_of
from cri_shim.oci.host_view import HostDevice, Propagation

if TYPE_CHECKING:
    from collections.abc import Iterator

# Not devices of the machine's: file systems of their own, and what other container tools keep there.
_SKIPPED_DIRECTORIES = frozenset({"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"})
_SKIPPED_DEVICE = "/dev/console"
_MAX_PROFILE_BYTES = 10 << 20


class LinuxHostView:
    """This node's file system."""

    def real_path(self, path: str) -> str:
        """`path` without symbolic links; a missing one is made, as a directory (0755). Raises OSError."""
        if not os.path.exists(path):
            os.makedirs(path, 0o755, exist_ok=True)
        return os.path.realpath(path, strict=True)

    def propagation(self, real_path: str) -> Propagation:
        """The propagation of the mount that the path is on. Raises OSError."""
        found = propagation_of(real_path)
        if found.shared:
            return Propagation.SHARED
        return Propagation.SLAVE if found.slave else Propagation.PRIVATE

    def devices(self, path: str) -> list[HostDevice]:
        """The device at `path`, or all devices below it; empty for what is neither. Raises OSError."""
        real = os.path.realpath(path, strict=True)
        if os.path.isdir(real):
            return [
                HostDevice(**{**vars(found), "path": path.rstrip("/") + found.path[len(real) :]})
                for found in _below(real)
            ]
        found = _device(real)
        return [] if found is None else [HostDevice(**{**vars(found), "path": path})]

    def all_devices(self) -> list[HostDevice]:
        """The devices in /dev that a privileged container gets."""
        return list(_below("/dev"))

    def seccomp_profile(self, path: str) -> bytes:
        """The content of a Localhost profile. Raises OSError."""
        with open(path, "rb") as file:
            return file.read(_MAX_PROFILE_BYTES)


def _below(directory: str) -> Iterator[HostDevice]:
    for base, directories, names in os.walk(directory):
        directories[:] = sorted(name for name in directories if name not in _SKIPPED_DIRECTORIES)
        for name in sorted(names):
            path = os.path.join(base, name)
            if path != _SKIPPED_DEVICE and (found := _device(path)) is not None:
                yield found


def _device(path: str) -> HostDevice | None:
    """The device node at `path`; None for anything else, links among it."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:  # gone since it was listed
        return None
    if stat.S_ISBLK(status.st_mode):
        kind = "b"
    elif stat.S_ISCHR(status.st_mode):
        kind = "c"
    else:
        return None
    return HostDevice(
        path=path,
        type=kind,
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
    )
