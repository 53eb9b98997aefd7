"""Reading in a container's root file system, which its image's author made: nothing in it leads out of it.

Symbolic links are followed as the container would see them, inside its root, by openat2(2) with RESOLVE_IN_ROOT. What
is read must be a regular file of bounded size: a FIFO would block, a device could do anything.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

from cri_shim.errors import InvalidArgument

MAX_FILE_BYTES = 10 << 20
_SYS_OPENAT2 = 437  # the same on every architecture
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_in_root(root: str, path: str, flags: int) -> int:
    """A descriptor of `path` as seen from inside `root`. Raises OSError as open(2)."""
    how = _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        opened = _libc.syscall(_SYS_OPENAT2, directory, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    finally:
        os.close(directory)
    if opened < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return int(opened)


def read_file(root: str, path: str) -> bytes | None:
    """The content of a regular file inside `root`; None when there is none. InvalidArgument for one that is too big."""
    try:
        fd = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            return None
        raise
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return None
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise InvalidArgument(f"the image's /{path} has more than {MAX_FILE_BYTES} bytes: no account file is so big")
    return content


def resolve(root: str, path: str) -> str | None:
    """The path on the node of `path` inside `root`, all links followed inside; None when there is nothing."""
    try:
        fd = open_in_root(root, path, os.O_PATH)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)
