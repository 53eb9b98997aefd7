"""Reading in a container's root file system, which its image's author made: nothing in it leads out of it.

Symbolic links are followed as the container would see them, inside its root: by openat2(2) with RESOLVE_IN_ROOT, or,
where the kernel (before 5.6) or a filter hasn't that, one component after the other. What is read must be a regular
file of bounded size: it is looked at before it is opened, since a FIFO would block and a device could do anything.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections import deque
from typing import Final

from cri_shim.errors import InvalidArgument

MAX_FILE_BYTES: Final = 10 << 20
_MAX_LINKS: Final = 40  # the kernel's own limit, path_resolution(7)
_SYS_OPENAT2: Final = 437  # the same on every architecture
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_BENEATH: Final = 0x08
_RESOLVE_IN_ROOT: Final = 0x10
# Filters answer EPERM for calls that they don't know; a mount made elsewhere at the moment of a `..` makes EAGAIN.
_ON_FOOT: Final = (errno.ENOSYS, errno.EPERM, errno.EAGAIN)
_MISSING: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _OpenHow(ctypes.Structure):
    """struct open_how of openat2(2)."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def read_file(root: str, path: str) -> bytes | None:
    """The content of a regular file inside `root`; None when there is none.

    Raises InvalidArgument for one above 10 MiB, OSError for one that can't be read, or for a root that isn't there.
    """
    found = find(root, path)
    if found is None:
        return None
    try:
        return _content(found, path) if stat.S_ISREG(os.fstat(found).st_mode) else None
    finally:
        os.close(found)


def _content(found: int, path: str) -> bytes:
    with open(f"/proc/self/fd/{found}", "rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise InvalidArgument(
            f"the image's /{path.lstrip('/')} has more than {MAX_FILE_BYTES} bytes: no account file is so big"
        )
    return content


def resolve(root: str, path: str) -> str | None:
    """The path on the node of `path` inside `root`, all links followed inside; None when there is nothing.

    Raises OSError as `find`.
    """
    found = find(root, path)
    if found is None:
        return None
    try:
        return os.readlink(f"/proc/self/fd/{found}")
    finally:
        os.close(found)


def resolve_beneath(root: str, path: str) -> str:
    """As `resolve`, but a path that leads out of `root`, be it by a link, is refused, and not turned back into it.

    Raises OSError, with EXDEV for a path that leads out.
    """
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = _find_beneath(directory, root, path)
    finally:
        os.close(directory)
    try:
        return os.readlink(f"/proc/self/fd/{found}")
    finally:
        os.close(found)


def _find_beneath(directory: int, root: str, path: str) -> int:
    try:
        return _openat2(directory, path, _RESOLVE_BENEATH)
    except OSError as error:
        if error.errno not in _ON_FOOT:
            raise
    inside = walk_in_root(directory, path)  # a path that doesn't lead out leads to the same place without a root
    if os.readlink(f"/proc/self/fd/{inside}") != os.path.realpath(os.path.join(root, path.lstrip("/"))):
        os.close(inside)
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    return inside


def find(root: str, path: str) -> int | None:
    """A descriptor (O_PATH: nothing is opened) of `path` as seen from inside `root`; None when there is nothing.

    Raises OSError as open(2), also for a root that isn't there.
    """
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _walk(directory, path)
    except OSError as error:
        if error.errno in _MISSING:
            return None
        raise
    finally:
        os.close(directory)


def _walk(directory: int, path: str) -> int:
    try:
        return _openat2(directory, path)
    except OSError as error:
        if error.errno not in _ON_FOOT:
            raise
        return walk_in_root(directory, path)


def _openat2(directory: int, path: str, within: int = _RESOLVE_IN_ROOT) -> int:
    how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, within | _RESOLVE_NO_MAGICLINKS)
    opened = _libc.syscall(
        ctypes.c_long(_SYS_OPENAT2),
        ctypes.c_int(directory),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if opened < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return int(opened)


def walk_in_root(directory: int, path: str) -> int:
    """As openat2(2) in a root, step by step. It holds while nobody moves directories, and here nobody does."""
    if not path:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    held = [os.dup(directory)]  # the way here, from the root on: `..` goes back along it
    left, links = deque(path.split("/")), 0
    try:
        while left:
            step = left.popleft()
            if not stat.S_ISDIR(os.fstat(held[-1]).st_mode):
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            if step == "..":
                _back(held)
            elif step not in ("", "."):
                found = os.open(step, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held[-1])
                held.append(found)
                if stat.S_ISLNK(os.fstat(found).st_mode):
                    links += 1
                    _follow(held, left, links, path)
        return os.dup(held[-1])
    finally:
        for fd in held:
            os.close(fd)


def _back(held: list[int]) -> None:
    if len(held) > 1:
        os.close(held.pop())


def _follow(held: list[int], left: deque[str], links: int, path: str) -> None:
    """Put a link's target in the place of its name; an absolute one starts at the root again."""
    if links > _MAX_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    target = os.readlink("", dir_fd=held[-1])  # of an O_PATH descriptor of a link, readlinkat(2)
    _back(held)
    if target.startswith("/"):
        while len(held) > 1:
            _back(held)
    left.extendleft(reversed(target.split("/")))
