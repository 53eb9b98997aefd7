"""Reading a container's checkpoint, which may be anybody's: nothing in it leads out of where it is unpacked to.

Only regular files and directories are taken for a checkpoint's; one link, device or `..` in it and the whole archive is
refused. What is written is named here, and goes into a new directory; how much that may be is the caller's to say, and
counts what is compressed at its full size. Everything here blocks.

Source: checkpointctl `lib/metadata.go` (names), tar(5).
"""

from __future__ import annotations

import gzip
import os
import posixpath
import re
import tarfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final, cast

import msgspec

from cri_shim.errors import InvalidArgument, ResourceExhausted
from cri_shim.linux.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES: Final = "checkpoint"
LAYER: Final = "rootfs-diff.tar"
LOG: Final = "container.log"
DESCRIPTION: Final = "config.dump"
_FILES: Final = frozenset({LAYER, LOG, DESCRIPTION})
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_REGULAR: Final = (tarfile.REGTYPE, tarfile.AREGTYPE)
_LAYER_TYPES: Final = (*_REGULAR, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE)
_OVERLAY: Final = "SCHILY.xattr.trusted."  # what overlayfs itself goes by
_MOST_MEMBERS: Final = 100_000
_PIECE: Final = 64 << 10
_LONGEST_READ: Final = 1 << 20  # of headers, which are read whole
_LONGEST_DESCRIPTION: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"


class Description(msgspec.Struct, frozen=True, rename="camel"):
    """What of `config.dump` a restore goes by: the image that the container was made from."""

    rootfs_image_name: str = ""
    rootfs_image_ref: str = ""


@dataclass
class Budget:
    """How many bytes may still be written of the checkpoint `subject`."""

    subject: str
    limit: int
    used: int = 0

    def take(self, count: int) -> None:
        """Have `count` bytes more. ResourceExhausted when that is too much."""
        self.used += count
        if self.used > self.limit:
            raise ResourceExhausted(
                f"{self.subject} has more than {self.limit} bytes, compressed content at its full size: raise "
                "checkpoint_limit if that is meant to be"
            )


class _Bounded:
    """A file of which nobody reads much at once: tarfile takes headers into memory, however long they say they are."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.name = file.seek, file.tell, file.name

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LONGEST_READ:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._file.read(size)


def unpack(archive: BinaryIO, directory: str, budget: Budget) -> None:
    """Write what a restore needs of an archive into `directory`, which has `checkpoint/` in it.

    Raises InvalidArgument for one that is no checkpoint's, ResourceExhausted beyond the budget, OSError.
    """
    with _members(archive, budget.subject) as members:
        for member, content in members:
            name = _name(member, budget.subject)
            if not member.isdir() and _wanted(name):
                budget.take(member.size)
                _write(cast("IO[bytes]", content(member)), os.path.join(directory, name), budget.subject)


def decompressed(path: str, plain: str, budget: Budget) -> None:
    """Write to the new file `plain` what the file `path` holds, which may be compressed by gzip."""
    with open(path, "rb") as source:
        begin = source.read(len(_GZIP))
        source.seek(0)
        file = cast("IO[bytes]", gzip.GzipFile(fileobj=source)) if begin == _GZIP else source
        try:
            _write(file, plain, budget.subject, budget)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidArgument(
                f"{budget.subject}: {os.path.basename(path)} can't be decompressed: {error}"
            ) from error


def check_layer(path: str, budget: Budget) -> None:
    """See to it that the layer at `path` can be unpacked as an image's can: no devices, no holes, no tricks.

    Raises InvalidArgument for what a container's changes are not, ResourceExhausted beyond the budget.
    """
    with open(path, "rb") as file, _members(file, budget.subject) as members:
        for member, _ in members:
            steps = member.name.split("/")
            if member.type not in _LAYER_TYPES or ".." in steps or member.sparse is not None:
                raise InvalidArgument(f"{budget.subject}: {LAYER} has {member.name!r}, which is no plain file or link")
            if any(name.startswith(_OVERLAY) for name in member.pax_headers):
                raise InvalidArgument(f"{budget.subject}: {LAYER} has {member.name!r} with attributes of overlayfs")
            budget.take(member.size)


def describe(directory: str, subject: str) -> Description:
    """What an unpacked checkpoint says of its container. InvalidArgument for one that says nothing."""
    try:
        content = read_regular(os.path.join(directory, DESCRIPTION), _LONGEST_DESCRIPTION)
        return msgspec.json.decode(content, type=Description)
    except FileNotFoundError:
        raise InvalidArgument(f"{subject} has no {DESCRIPTION}: it is not a container's checkpoint") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidArgument(f"{subject}: {DESCRIPTION} can't be read: {error}") from error


@contextmanager
def _members(file: BinaryIO, subject: str) -> Iterator[Iterator[tuple[tarfile.TarInfo, Any]]]:
    """The members of a tar file, each with how to get at its content; what is wrong with it is InvalidArgument."""
    try:
        with tarfile.open(fileobj=cast("BinaryIO", _Bounded(file)), mode="r:") as archive:
            yield _counted(archive, subject)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, EOFError) as error:
        raise InvalidArgument(f"{subject} is no tar archive that can be read: {error}") from error


def _counted(archive: tarfile.TarFile, subject: str) -> Iterator[tuple[tarfile.TarInfo, Any]]:
    count = 0
    while (member := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]  # it would keep them all
        count += 1
        if count > _MOST_MEMBERS or member.size < 0:
            raise InvalidArgument(f"{subject} has more than {_MOST_MEMBERS} members, or one of {member.size} bytes")
        yield member, archive.extractfile


def _name(member: tarfile.TarInfo, subject: str) -> str:
    """A member's name in the directory. InvalidArgument for one that a checkpoint has no use for."""
    plain = member.type in _REGULAR and member.sparse is None
    if not (plain or member.isdir()):
        raise InvalidArgument(f"{subject} has {member.name!r}, which is neither a regular file nor a directory")
    if member.name.startswith("/") or ".." in member.name.split("/") or "\0" in member.name:
        raise InvalidArgument(f"{subject} has {member.name!r}, which leads out of it")
    return posixpath.normpath(member.name)


def _wanted(name: str) -> bool:
    directory, _, file = name.rpartition("/")
    return name in _FILES or (directory == IMAGES and _IMAGE.fullmatch(file) is not None)


def _write(source: IO[bytes], path: str, subject: str, budget: Budget | None = None) -> None:
    """Write `source` to the new file `path`."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise InvalidArgument(f"{subject} has {os.path.basename(path)!r} twice") from None
    with open(fd, "wb") as file:
        while piece := source.read(_PIECE):
            if budget is not None:
                budget.take(len(piece))
            file.write(piece)
