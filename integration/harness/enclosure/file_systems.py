"""The node's file systems: an overlay of the cached layers, and on it what every Linux has, of the node's own."""

from __future__ import annotations

import ctypes
import os
import stat
from typing import TYPE_CHECKING, Final

from cri_shim.linux import syscalls
from integration.harness.enclosure import groups
from integration.harness.enclosure.plan import Bind

if TYPE_CHECKING:
    from integration.harness.enclosure.plan import Plan

_QUIET: Final = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
_CGROUPS: Final = "sys/fs/cgroup"
# The devices of the OCI runtime specification (config-linux, "Default Devices"), and those that runtimes may be asked
# for: (major, minor) as in the kernel's admin-guide/devices.txt.
_DEVICES: Final = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "kmsg": (1, 11),
    "tty": (5, 0),
    "fuse": (10, 229),
    "net/tun": (10, 200),
}
_LINKS: Final = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
    "core": "/proc/kcore",
}
_libc = ctypes.CDLL(None, use_errno=True)


def enter(plan: Plan) -> None:
    """Mount everything and make it the root of the calling process's mount namespace, which is its own already."""
    syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE, "")
    root = _root(plan)
    _kernel(root)
    _devices(root)
    _cgroups(plan, root)
    for path, mode in (("run", "755"), ("tmp", "1777")):
        _mount("tmpfs", f"{root}/{path}", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, f"mode={mode}")
    for number, target in enumerate(plan.disks):
        disk = f"{plan.scratch}/disk-{number}"
        os.mkdir(disk)
        _mount(disk, root + target, "", syscalls.MS_BIND, "")
    for bind in plan.binds:
        show(root, bind)
    _pivot(root)


def _root(plan: Plan) -> str:
    upper = plan.upper or f"{plan.scratch}/upper"
    work = f"{plan.scratch}/work"  # on the upper directory's file system, as the overlay wants it: all is in the cache
    root = f"{plan.scratch}/root"
    for directory in (upper, work, root):
        os.makedirs(directory, exist_ok=True)
    data = f"lowerdir={':'.join(plan.layers)},upperdir={upper},workdir={work}"
    syscalls.mount("overlay", root, "overlay", 0, data)
    return root


def _kernel(root: str) -> None:
    _mount("proc", f"{root}/proc", "proc", _QUIET, "")
    _mount("sysfs", f"{root}/sys", "sysfs", _QUIET, "")


def _devices(root: str) -> None:
    dev = f"{root}/dev"
    _mount("tmpfs", dev, "tmpfs", syscalls.MS_NOSUID, "mode=755")
    for name, (major, minor) in _DEVICES.items():
        os.makedirs(os.path.dirname(f"{dev}/{name}"), exist_ok=True)
        _device(f"/dev/{name}", f"{dev}/{name}", os.makedev(major, minor))
    for name, target in _LINKS.items():
        os.symlink(target, f"{dev}/{name}")
    _mount(
        "devpts", f"{dev}/pts", "devpts", syscalls.MS_NOSUID | syscalls.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620"
    )
    _mount("tmpfs", f"{dev}/shm", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=1777")
    _mount("mqueue", f"{dev}/mqueue", "mqueue", _QUIET, "")


def _device(host: str, path: str, number: int) -> None:
    """Make a device, or, where that isn't allowed (inside a container), show the host's."""
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, number)
        os.chmod(path, 0o666)
    except PermissionError:
        if os.path.exists(host):
            show("", Bind(host, path, readonly=False))


def _cgroups(plan: Plan, root: str) -> None:
    """Each hierarchy, at the place that it has on the host; the cgroup namespace hides all above the node's group."""
    if len(plan.hierarchies) == 1 and plan.hierarchies[0].unified:
        syscalls.mount("cgroup2", f"{root}/{_CGROUPS}", "cgroup2", _QUIET, "")
        return
    syscalls.mount("tmpfs", f"{root}/{_CGROUPS}", "tmpfs", _QUIET, "mode=755")
    for hierarchy, _ in groups.tops(plan):
        target = root + hierarchy.mountpoint
        fstype = "cgroup2" if hierarchy.unified else "cgroup"
        _mount(fstype, target, fstype, _QUIET, "" if hierarchy.unified else hierarchy.options)
    host = f"/{_CGROUPS}"
    for entry in os.scandir(host):  # `cpu -> cpu,cpuacct`, where controllers share a hierarchy
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), f"{root}{entry.path}")


def _mount(source: str, target: str, fstype: str, flags: int, data: str) -> None:
    os.makedirs(target, exist_ok=True)
    syscalls.mount(source, target, fstype, flags, data)


def show(root: str, bind: Bind) -> None:
    """Mount a file or directory of the host's at its place below `root`, which is made if need be."""
    target = root + bind.target
    if os.path.isdir(bind.source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    syscalls.mount(bind.source, target, "", syscalls.MS_BIND | syscalls.MS_REC, "")
    if bind.readonly:
        syscalls.mount("", target, "", syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY, "")


def _pivot(root: str) -> None:
    """Swap roots as in pivot_root(2), then share all mounts as systemd does: pods' mount propagation needs it."""
    os.chdir(root)
    if _libc.pivot_root(b".", b"."):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), root)
    syscalls.umount2(".", syscalls.MNT_DETACH)
    os.chdir("/")
    syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_SHARED, "")
