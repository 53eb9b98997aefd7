"""Namespaces kept by a bind mount on a file, which outlives every process in them."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Final

from cri_shim import errors
from cri_shim.linux import syscalls

_STACKED: Final = 16  # mounts on one file; more than one only if something went wrong before


def pin(source: str, path: str) -> None:
    """Keep the namespace `source` (a path in /proc) at `path`; missing directories are made (0755).

    Raises `errors.AlreadyExists` when there is a file, and `OSError` when the kernel refuses; nothing is left then.
    """
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    except FileExistsError as error:
        raise errors.AlreadyExists(f"namespace file {path} exists already") from error
    try:
        syscalls.mount(source, path, "none", syscalls.MS_BIND, "")
    except BaseException:
        os.unlink(path)
        raise


def unpin(path: str) -> None:
    """Let go of the namespace and remove the file; a missing or half-removed one is fine."""
    for _ in range(_STACKED):
        try:
            syscalls.umount2(path, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: nothing is mounted there any more
                raise
            break
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
