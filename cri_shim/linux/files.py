"""Files written so that a crash leaves the old or the new, and trees removed with what is mounted in them."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import shutil
import stat
import time
from typing import Final

from cri_shim import errors
from cri_shim.linux import mountinfo, mounts

_TRIES: Final = 10
_FIRST_PAUSE: Final = 0.005  # seconds, doubling: 5 s in all, as long as a dying shim may hold a mount


def write_atomic(path: str, data: bytes, mode: int, *, durable: bool = True) -> None:
    """Replace `path` by a file of `data` with permissions `mode`, synced to disk before it gets the name.

    Without `durable` it isn't synced: whole for every reader and after our own death, but not after a power cut.
    Raises `OSError`; the old file is then as it was.
    """
    temporary = _temporary(path) + secrets.token_hex(6)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(data)
            file.flush()
            if durable:
                os.fsync(fd)
        os.replace(temporary, path)
    except BaseException:
        _unlink(temporary)
        raise


def read_regular(path: str, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes.

    Raises OSError, with EINVAL for what is no regular file (it isn't waited for) and EFBIG for a bigger one.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
    return content


def remove_written(path: str) -> None:
    """Remove what `write_atomic` made at `path`, and what it left beside it if it was killed; missing is fine."""
    for leftover in glob.iglob(glob.escape(_temporary(path)) + "*"):
        _unlink(leftover)
    _unlink(path)


def remove_tree(path: str) -> None:
    """Remove the file or directory `path` and all in it, unmounting first what is mounted there; missing is fine.

    What a mount shows is never deleted: if one can't be unmounted, nothing is, and `errors.FailedPrecondition` names
    it. A busy directory is tried again for a few seconds.
    """
    real = os.path.join(os.path.realpath(os.path.dirname(path) or "."), os.path.basename(path))
    for attempt in range(_TRIES):
        try:
            unmount_below(real)
            _remove(real)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or attempt == _TRIES - 1:
                raise
            time.sleep(_FIRST_PAUSE * 2**attempt)
        else:
            return


def remove_trees(*paths: str) -> None:
    """Remove one after the other, as `remove_tree`."""
    for path in paths:
        remove_tree(path)


def unmount_below(real_path: str) -> None:
    """Unmount whatever is mounted at `real_path` (no links in it) and below, last mounted first."""
    for _ in range(_TRIES):
        targets = [point.target for point in mountinfo.read() if mounts.is_below(point.target, real_path)]
        if not targets:
            return
        for target in reversed(targets):
            mounts.unmount(target)
    raise errors.FailedPrecondition(f"{targets[-1]} can't be unmounted; {real_path} is left as it is")


def _temporary(path: str) -> str:
    """What the names begin with that a file has while it is written."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.")


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)
