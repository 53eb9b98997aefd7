"""Giving a whole tree to other users: what a snapshotter that can't map ids has done to a copy. Everything here blocks.

Source: containerd `client/container_opts_unix.go` (`remapRootFS`), capabilities(7) on namespaced file capabilities.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cri_shim.errors import FailedPrecondition
from cri_shim.linux.userns import IdMapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CAPABILITY: Final = "security.capability"
_REVISION: Final = struct.Struct("<I")  # of struct vfs_cap_data (linux/capability.h), above the flags
_REVISION_MASK: Final = 0xFF000000
_VERSION_2: Final = 0x02000000
_VERSION_3: Final = 0x03000000  # ends with the root user, outside, of the user namespace that it is for
_NONE: Final = (errno.ENODATA, errno.ENOTSUP)


@dataclass(frozen=True)
class Owners:
    """Which ids outside the ids inside a pod are."""

    uids: Sequence[IdMapping]
    gids: Sequence[IdMapping]

    def outside(self, uid: int, gid: int) -> tuple[int, int]:
        """The owners outside. Raises LookupError for one that is not mapped."""
        return _outside(self.uids, uid), _outside(self.gids, gid)

    def reversed(self) -> Owners:
        """What undoes a shift."""
        return Owners(_reversed(self.uids), _reversed(self.gids))


def shift(root: str, owners: Owners) -> None:
    """Give all that is in `root`, and itself, to the owners outside; modes and file capabilities hold on.

    Raises FailedPrecondition for a file whose owner has no id in the mapping, and OSError.
    """
    linked: set[tuple[int, int]] = set()
    for path in _walk(root):
        status = os.lstat(path)
        inode = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            if inode in linked:
                continue
            linked.add(inode)
        try:
            uid, gid = owners.outside(status.st_uid, status.st_gid)
        except LookupError as error:
            raise FailedPrecondition(
                f"{os.path.join('/', os.path.relpath(path, root))} belongs to {status.st_uid}:{status.st_gid}, which "
                "the pod's userns_options don't map: map more ids, or use userns_options.mode NODE"
            ) from error
        _give(path, status, uid, gid, owners)


def _walk(root: str) -> Iterator[str]:
    yield root
    for directory, directories, names in os.walk(root, onerror=_raise):
        yield from (os.path.join(directory, name) for name in (*directories, *names))


def _raise(error: OSError) -> None:
    raise error


def _give(path: str, status: os.stat_result, uid: int, gid: int, owners: Owners) -> None:
    regular = stat.S_ISREG(status.st_mode)
    capability = _capability(path) if regular else None
    os.chown(path, uid, gid, follow_symlinks=False)
    if regular and status.st_mode & (stat.S_ISUID | stat.S_ISGID):
        os.chmod(path, stat.S_IMODE(status.st_mode))  # a change of the owner takes the set-id bits off
    if capability is not None:
        os.setxattr(path, _CAPABILITY, _of_namespace(capability, owners), follow_symlinks=False)


def _capability(path: str) -> bytes | None:
    try:
        return os.getxattr(path, _CAPABILITY, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NONE:
            raise
        return None


def _of_namespace(capability: bytes, owners: Owners) -> bytes:
    """A file capability that holds for the pod's root: one of the node's means nothing in its user namespace."""
    (magic,) = _REVISION.unpack_from(capability)
    if magic & _REVISION_MASK != _VERSION_2:
        return capability
    with contextlib.suppress(LookupError):
        root = owners.outside(0, 0)[0]
        return (
            _REVISION.pack(_VERSION_3 | magic & ~_REVISION_MASK) + capability[_REVISION.size :] + _REVISION.pack(root)
        )
    return capability


def _outside(mappings: Sequence[IdMapping], number: int) -> int:
    for one in mappings:
        if one.container_id <= number < one.container_id + one.length:
            return one.host_id + number - one.container_id
    raise LookupError(number)


def _reversed(mappings: Sequence[IdMapping]) -> list[IdMapping]:
    return [IdMapping(one.host_id, one.container_id, one.length) for one in mappings]
