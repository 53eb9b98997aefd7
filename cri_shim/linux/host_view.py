"""The node's file system as specs ask for it. Everything here may block."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

from cri_shim.linux import apparmor, resctrl, selinux
from cri_shim.linux.files import read_regular
from cri_shim.linux.mounts import covering, mountinfo
from cri_shim.oci.apparmor import DEFAULT_PROFILE
from cri_shim.oci.host_view import HostDevice, HostMount, Propagation

if TYPE_CHECKING:
    from collections.abc import Iterator

# Not devices of the machine's: file systems of their own, and what other container tools keep there.
_SKIPPED_DIRECTORIES: Final = frozenset({"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"})
_SKIPPED_DEVICE: Final = "console"  # every container has its own
_MAX_PROFILE_BYTES: Final = 10 << 20


class LinuxHostView:
    """This node's file system; `in_user_namespace` leaves out devices that we may not look at."""

    def __init__(self, *, in_user_namespace: bool = False, apparmor_profiles: str = apparmor.PROFILES) -> None:
        self._in_user_namespace = in_user_namespace
        self._apparmor_profiles = apparmor_profiles

    def real_path(self, path: str) -> str:
        """`path` without symbolic links; a missing one is made, as a directory (0755). Raises OSError."""
        if not os.path.exists(path):
            os.makedirs(path, 0o755, exist_ok=True)
        return os.path.realpath(path, strict=True)

    def mount_of(self, real_path: str) -> HostMount:
        """The mount that the path is on. Raises OSError."""
        found = covering(mountinfo(), real_path)
        if found.propagation.shared:
            return HostMount(found.target, Propagation.SHARED)
        return HostMount(found.target, Propagation.SLAVE if found.propagation.slave else Propagation.PRIVATE)

    def relabel(self, real_path: str, label: str) -> None:
        """Give the path, and all below it, an SELinux label. Raises OSError, with EPERM for what is the node's own."""
        selinux.relabel(real_path, label)

    def devices(self, path: str) -> list[HostDevice]:
        """The device at `path`, or all devices below the directory. Raises OSError, with ENODEV for anything else."""
        real = os.path.realpath(path, strict=True)
        if os.path.isdir(real):
            return list(self._below(real, ""))
        found = _device(real, "")
        if found is None:
            raise OSError(errno.ENODEV, "not a device node", path)
        return [found]

    def device(self, path: str) -> HostDevice:
        """The device or FIFO at `path`, no link. Raises OSError, with ENODEV for anything else."""
        found = _device(path, "", fifo=True)
        if found is None:
            raise OSError(errno.ENODEV, "not a device node", path)
        return found

    def all_devices(self) -> list[HostDevice]:
        """The devices in /dev that a privileged container gets. Raises OSError."""
        return self.devices("/dev")

    def seccomp_profile(self, path: str) -> bytes:
        """The content of a Localhost profile. Raises OSError, with EFBIG for one above 10 MiB."""
        return read_regular(path, _MAX_PROFILE_BYTES)

    def rdt_classes(self) -> frozenset[str] | None:
        """The groups of resctrl; None where it isn't mounted."""
        return resctrl.groups()

    def apparmor_loaded(self, name: str) -> bool:
        """Whether the kernel has an AppArmor profile of that name; the default one is loaded first where it hasn't.

        Raises OSError, also with what apparmor_parser says.
        """
        if apparmor.is_loaded(name, self._apparmor_profiles):
            return True
        if name != DEFAULT_PROFILE:
            return False
        apparmor.load(name)
        return True

    def _below(self, directory: str, below: str) -> Iterator[HostDevice]:
        try:
            with os.scandir(directory) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except PermissionError:
            if not self._in_user_namespace:
                raise
            return
        for entry in entries:
            inside = os.path.join(below, entry.name)
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _SKIPPED_DIRECTORIES:
                    yield from self._below(entry.path, inside)
            elif entry.name != _SKIPPED_DEVICE and (found := self._seen(entry.path, inside)) is not None:
                yield found

    def _seen(self, path: str, below: str) -> HostDevice | None:
        try:
            return _device(path, below)
        except FileNotFoundError:  # gone since it was listed
            return None
        except PermissionError:
            if not self._in_user_namespace:
                raise
            return None


def _device(path: str, below: str, *, fifo: bool = False) -> HostDevice | None:
    """The device node (or FIFO) at `path`; None for anything else, links among it."""
    status = os.lstat(path)
    if stat.S_ISBLK(status.st_mode):
        kind = "b"
    elif stat.S_ISCHR(status.st_mode):
        kind = "c"
    elif fifo and stat.S_ISFIFO(status.st_mode):
        kind = "p"
    else:
        return None
    return HostDevice(
        path=path,
        below=below,
        type=kind,
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
    )
