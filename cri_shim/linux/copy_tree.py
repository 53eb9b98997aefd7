"""Copying a directory as it is: owners, modes, times, extended attributes, links, device nodes. Everything blocks."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from typing import Final

from cri_shim.linux import selinux

_UNSUPPORTED: Final = (errno.ENOTSUP, errno.ENODATA)
_SPECIAL: Final = (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK)


def copy_tree(source: str, target: str) -> None:
    """Copy all that is in the directory `source`, and its own attributes, to the directory `target`, which is there.

    Links are not followed, hard links among what is copied stay; nothing is opened but regular files. Raises OSError.
    """
    _copy_directory(source, target, {})


def _copy_directory(source: str, target: str, copied: dict[tuple[int, int], str]) -> None:
    with os.scandir(source) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        _copy(os.path.join(source, name), os.path.join(target, name), copied)
    _copy_attributes(source, target, os.lstat(source))  # last, for what is made in it changes its times


def _copy(source: str, target: str, copied: dict[tuple[int, int], str]) -> None:
    status = os.lstat(source)
    kind, inode = stat.S_IFMT(status.st_mode), (status.st_dev, status.st_ino)
    if kind == stat.S_IFDIR:
        os.mkdir(target, 0o700)
        _copy_directory(source, target, copied)
        return
    if inode in copied:
        os.link(copied[inode], target, follow_symlinks=False)
        return
    if status.st_nlink > 1:
        copied[inode] = target
    if kind == stat.S_IFLNK:
        os.symlink(os.readlink(source), target)
    elif kind in _SPECIAL:
        os.mknod(target, kind | 0o600, status.st_rdev)
    else:
        shutil.copyfile(source, target, follow_symlinks=False)
    _copy_attributes(source, target, status)


def _copy_attributes(source: str, target: str, status: os.stat_result) -> None:
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    _copy_extended(source, target)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(target, stat.S_IMODE(status.st_mode))  # after chown, which takes the set-id bits off
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


def _copy_extended(source: str, target: str) -> None:
    """File capabilities and whatever else there is, as far as the target's file system has the like."""
    for name in os.listxattr(source, follow_symlinks=False):
        if name == selinux.ATTRIBUTE:  # of the place, and not of the content
            continue
        try:
            os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
