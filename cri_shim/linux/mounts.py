"""Mounting and unmounting, by mount(2) and umount2(2). Everything here may block: call it in a thread."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import tempfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cri_shim import errors
from cri_shim.linux import idmapped, mount_options, own_thread, syscalls
from cri_shim.linux.mountinfo import MountPoint, Propagation
from cri_shim.linux.mountinfo import read as mountinfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cri_shim.linux.mount_options import MountOptions

__all__ = [
    "Mount",
    "MountPoint",
    "Propagation",
    "is_mountpoint",
    "mount",
    "mount_all",
    "mountinfo",
    "propagation_of",
    "temporary",
    "unmount",
]

_HELPERS: Final = ("fuse.", "fuse3.")


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount as containerd's snapshotters return it; `target` is a path inside the mount point, "" for all of it."""

    type: str
    source: str
    target: str = ""
    options: tuple[str, ...] = ()


def mount(source: str, target: str, fstype: str, options: Sequence[str], *, scratch: str | None = None) -> None:
    """Mount with options as containerd writes them; propagation and a bind's `ro` take further calls, made here.

    Neither a type nor `bind` or `remount`: only the propagation of what is mounted already is set. Ids are mapped as
    the options say; the layers of an overlay are so in a directory below `scratch`, until they are mounted.

    Raises `errors.Unimplemented` for what can't be done here, `errors.InvalidArgument` for options longer than
    the kernel takes, `OSError` for what the kernel refuses; nothing stays mounted then.
    """
    if fstype.startswith(_HELPERS):
        raise errors.Unimplemented(f"mounting {fstype} at {target} takes a FUSE helper, which is not started here")
    parsed = mount_options.parse(options)
    if parsed.id_maps is None:
        _mount(source, target, fstype, parsed)
    elif fstype == "overlay":
        with idmapped.layers(parsed.data, parsed.id_maps, scratch) as data:
            _mount(source, target, fstype, replace(parsed, data=data))
    else:
        _mount(source, target, fstype, parsed)
        try:
            idmapped.remount(target, parsed.id_maps)
        except BaseException:
            unmount(target)
            raise


def _mount(source: str, target: str, fstype: str, parsed: MountOptions) -> None:
    remount = bool(parsed.flags & syscalls.MS_REMOUNT)
    new = not remount and bool(fstype or parsed.flags & syscalls.MS_BIND)
    if new or (remount and parsed.data):
        _first(source, target, fstype, parsed)
    try:
        _adjust(target, parsed)
    except OSError:
        if new:
            unmount(target)
        raise


def unmount(target: str, *, detach: bool = True) -> None:
    """Unmount what is on top at `target`; nothing mounted, or no such path, is fine.

    Without `detach` a mount in use raises `OSError` with EBUSY.
    """
    flags = syscalls.UMOUNT_NOFOLLOW | (syscalls.MNT_DETACH if detach else 0)
    try:
        syscalls.umount2(target, flags)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise


def is_mountpoint(path: str) -> bool:
    """Whether something is mounted exactly at `path` (bind mounts count); a missing path is none."""
    try:
        known = syscalls.is_mount_root(path)
    except FileNotFoundError:
        return False
    if known is not None:
        return known
    return os.path.realpath(path) in {point.target for point in mountinfo()}


def propagation_of(path: str) -> Propagation:
    """The propagation of the mount that `path` is on.

    Raises `FileNotFoundError` when the path does not exist.
    """
    real = os.path.realpath(path, strict=True)
    return covering(mountinfo(), real).propagation


def covering(points: Sequence[MountPoint], real_path: str) -> MountPoint:
    """The mount that `real_path` (no links in it) is on: the deepest target, and of several there the last."""
    found = [point for point in points if is_below(real_path, point.target)]
    if not found:
        raise errors.Internal(f"no mount in mountinfo covers {real_path}")
    return max(enumerate(found), key=lambda item: (len(item[1].target), item[0]))[1]


def is_below(path: str, directory: str) -> bool:
    """Whether `path` is `directory` or anything in it; both absolute, without links."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def mount_all(mounts: Sequence[Mount], root: str, *, readonly: bool = False, scratch: str | None = None) -> list[str]:
    """Mount each of `mounts` at its place in the directory `root`; where they are. `scratch` is as for `mount`.

    Raises as `mount`; nothing stays mounted then.
    """
    mounted: list[str] = []
    try:
        for one in mounts:
            target = os.path.join(root, one.target.lstrip("/")) if one.target else root
            options = mount_options.readonly(one.options) if readonly else one.options
            mount(one.source, target, one.type, options, scratch=scratch)
            mounted.append(target)
    except BaseException:
        _unmount_all(mounted)
        raise
    return mounted


def _unmount_all(mounted: Sequence[str]) -> None:
    for target in reversed(mounted):
        unmount(target)


@contextlib.contextmanager
def temporary(mounts: Sequence[Mount], *, readonly: bool, directory: str | None = None) -> Iterator[str]:
    """A new directory (under `directory`) with `mounts` on it, unmounted and removed afterwards.

    Read-only, an overlay is mounted without its upper directory being written to.
    """
    root = tempfile.mkdtemp(prefix="cri-shim-mount-", dir=directory)
    try:
        mounted = mount_all(mounts, root, readonly=readonly)
        try:
            yield root
        finally:
            _unmount_all(mounted)
    finally:
        os.rmdir(root)  # never a whole tree: if something were mounted still, that would be emptied


def _first(source: str, target: str, fstype: str, parsed: MountOptions) -> None:
    if len(parsed.data) < mmap.PAGESIZE:
        syscalls.mount(source, target, fstype, parsed.flags, parsed.data)
        return
    directory, data = _shortened(target, fstype, parsed.data)
    absolute = os.path.abspath(target)
    own_thread.call(_in_directory, directory, lambda: syscalls.mount(source, absolute, fstype, parsed.flags, data))


def _in_directory(directory: str, action: Callable[[], None]) -> None:
    syscalls.unshare(syscalls.CLONE_FS)  # the working directory becomes this thread's own
    os.chdir(directory)
    action()


def _shortened(target: str, fstype: str, data: str) -> tuple[str, str]:
    """A directory, and an overlay's data with its lower directories relative to it: the kernel takes one page."""
    options = data.split(",")
    lower = next((option for option in options if option.startswith("lowerdir=")), "")
    directories = lower.removeprefix("lowerdir=").split(":")
    if fstype == "overlay" and lower and all(directory.startswith("/") for directory in directories):
        common = os.path.commonpath([os.path.dirname(directory) for directory in directories])
        relative = "lowerdir=" + ":".join(os.path.relpath(directory, common) for directory in directories)
        short = ",".join(relative if option == lower else option for option in options)
        if len(short) < mmap.PAGESIZE:
            return common, short
    raise errors.InvalidArgument(
        f"the options of the {fstype} mount at {target} take {len(data)} bytes, and the kernel reads less than "
        f"{mmap.PAGESIZE}: the image has too many layers for this snapshotter's directory; give it a shorter path"
    )


def _adjust(target: str, parsed: MountOptions) -> None:
    if parsed.propagation:
        syscalls.mount("", target, "", parsed.propagation, "")
    if parsed.readonly_bind or (parsed.flags & syscalls.MS_REMOUNT and not parsed.data):
        syscalls.mount("", target, "", parsed.flags | syscalls.MS_REMOUNT, "")
    if parsed.recursive_readonly:
        syscalls.mount_setattr_readonly(target)
