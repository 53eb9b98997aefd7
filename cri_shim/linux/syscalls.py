"""The system calls that Python's standard library lacks (or has from 3.12 on only), typed.

Each function is its man page's call: it raises `OSError` with the errno, and the path where there is one. ctypes
releases the GIL while a call runs, so that a slow one holds up its own thread only.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_SYNCHRONOUS: Final = 0x10
MS_REMOUNT: Final = 0x20
MS_MANDLOCK: Final = 0x40
MS_DIRSYNC: Final = 0x80
MS_NOSYMFOLLOW: Final = 0x100
MS_NOATIME: Final = 0x400
MS_NODIRATIME: Final = 0x800
MS_BIND: Final = 0x1000
MS_MOVE: Final = 0x2000
MS_REC: Final = 0x4000
MS_SILENT: Final = 0x8000
MS_UNBINDABLE: Final = 1 << 17
MS_PRIVATE: Final = 1 << 18
MS_SLAVE: Final = 1 << 19
MS_SHARED: Final = 1 << 20
MS_RELATIME: Final = 1 << 21
MS_STRICTATIME: Final = 1 << 24

MNT_DETACH: Final = 0x2
UMOUNT_NOFOLLOW: Final = 0x8

CLONE_FS: Final = 0x200
CLONE_NEWNS: Final = 0x20000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000

AT_FDCWD: Final = -100
AT_SYMLINK_NOFOLLOW: Final = 0x100
AT_NO_AUTOMOUNT: Final = 0x800
AT_RECURSIVE: Final = 0x8000
AT_EMPTY_PATH: Final = 0x1000
MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_IDMAP: Final = 0x100000

CGROUP2_MAGIC: Final = 0x63677270
NSFS_MAGIC: Final = 0x6E736673
PROC_MAGIC: Final = 0x9FA0

_SYNC_FILE_RANGE_WRITE_AND_WAIT: Final = 0x7  # wait before, write, wait after

# One number each on every architecture, as all calls since 5.1 (kernel, syscall.tbl).
_SYS_OPEN_TREE: Final = 428
_SYS_MOVE_MOUNT: Final = 429
_SYS_MOUNT_SETATTR: Final = 442
_OPEN_TREE_CLONE: Final = 0x1
_OPEN_TREE_CLOEXEC: Final = 0x80000
_MOVE_MOUNT_F_EMPTY_PATH: Final = 0x4
_STATX_ATTR_MOUNT_ROOT: Final = 0x2000
_STATX_ATTRIBUTES: Final = 8  # offsets in struct statx (linux/stat.h)
_STATX_ATTRIBUTES_MASK: Final = 56

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
_libc.unshare.argtypes = [ctypes.c_int]
_libc.setns.argtypes = [ctypes.c_int, ctypes.c_int]
_libc.statfs.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
_libc.statx.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
_libc.sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
_libc.syscall.restype = ctypes.c_long


class _MountAttr(ctypes.Structure):
    """struct mount_attr of mount_setattr(2)."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def _check(result: int, path: str | None = None) -> None:
    if result != -1:
        return
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), path) if path else OSError(number, os.strerror(number))


def mount(source: str, target: str, fstype: str, flags: int, data: str) -> None:
    """Mount `source` at `target`; an empty `fstype` or `data` is passed as a null pointer."""
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        fstype.encode() or None,
        flags,
        os.fsencode(data) or None,
    )
    _check(result, target)


def umount2(target: str, flags: int) -> None:
    """Unmount what is on top at `target`; `flags` are MNT_* and UMOUNT_*."""
    _check(_libc.umount2(os.fsencode(target), flags), target)


def unshare(flags: int) -> None:
    """Give the calling thread namespaces (or a working directory) of its own."""
    _check(_libc.unshare(flags))


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace `fd`, of `kind` CLONE_NEW*."""
    _check(_libc.setns(fd, kind))


def sync_file_range(fd: int, offset: int, length: int) -> None:
    """Return once these bytes of a file are on the disk; what is not its content (its size, its blocks) need not be."""
    _check(_libc.sync_file_range(fd, offset, length, _SYNC_FILE_RANGE_WRITE_AND_WAIT))


def filesystem_type(path: str) -> int:
    """The magic number of the file system that `path` is on: `f_type` of statfs(2)."""
    buffer = ctypes.create_string_buffer(256)  # struct statfs is 120 bytes, f_type its first long
    _check(_libc.statfs(os.fsencode(path), buffer), path)
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF


def is_mount_root(path: str) -> bool | None:
    """Whether something is mounted exactly at `path`, by statx(2); None when the kernel (before 5.8) can't say."""
    buffer = ctypes.create_string_buffer(256)
    flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT
    _check(_libc.statx(AT_FDCWD, os.fsencode(path), flags, 0, buffer), path)
    known = ctypes.c_uint64.from_buffer(buffer, _STATX_ATTRIBUTES_MASK).value
    if not known & _STATX_ATTR_MOUNT_ROOT:
        return None
    return bool(ctypes.c_uint64.from_buffer(buffer, _STATX_ATTRIBUTES).value & _STATX_ATTR_MOUNT_ROOT)


def mount_setattr_readonly(target: str) -> None:
    """Make `target` and every mount below it read-only: mount_setattr(2), Linux 5.12."""
    _mount_setattr(AT_FDCWD, target, AT_RECURSIVE, _MountAttr(attr_set=MOUNT_ATTR_RDONLY))


def clone_tree(path: str) -> int:
    """A copy of the mount at `path`, and of those below it, that is mounted nowhere: open_tree(2), Linux 5.2."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | AT_RECURSIVE
    fd: int = _libc.syscall(
        ctypes.c_long(_SYS_OPEN_TREE),
        ctypes.c_int(AT_FDCWD),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.c_uint(flags),
    )
    _check(fd, path)
    return fd


def map_ids(tree: int, user_namespace: int, *, readonly: bool) -> None:
    """Have the mounts of a cloned tree show files as the ids of a user namespace: mount_setattr(2), Linux 5.12."""
    attributes = _MountAttr(
        attr_set=MOUNT_ATTR_IDMAP | (MOUNT_ATTR_RDONLY if readonly else 0),
        propagation=MS_PRIVATE,
        userns_fd=user_namespace,
    )
    _mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, attributes)


def attach_tree(tree: int, target: str) -> None:
    """Mount a cloned tree at `target`: move_mount(2), Linux 5.2."""
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOVE_MOUNT),
        ctypes.c_int(tree),
        ctypes.c_char_p(b""),
        ctypes.c_int(AT_FDCWD),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH),
    )
    _check(result, target)


def _mount_setattr(directory: int, path: str, flags: int, attributes: _MountAttr) -> None:
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(directory),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.c_uint(flags),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    _check(result, path or None)
