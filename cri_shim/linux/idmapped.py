"""Mounts that show files as other users': Linux 5.12, and 5.19 for the layers of an overlay. Everything here blocks.

Source: mount_setattr(2), containerd `core/mount/mount_linux.go`, `mount_idmapped_linux.go`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING, Final

from cri_shim import errors
from cri_shim.linux import syscalls, userns

if TYPE_CHECKING:
    from collections.abc import Iterator

IdMaps = tuple[str, str]
"""The mappings of users and of groups, each as containerd writes them."""

_LOWER: Final = "lowerdir="


@contextlib.contextmanager
def layers(data: str, id_maps: IdMaps, scratch: str | None) -> Iterator[str]:
    """An overlay's `data` with its lower directories mapped, for as long as it takes to mount it.

    All of them at once, by the directory that has them all, which is mounted in a directory below `scratch`. Raises
    InvalidArgument for lower directories that have none in common, or mappings that are none.
    """
    options = data.split(",")
    lower = next((option for option in options if option.startswith(_LOWER)), "")
    directories = lower.removeprefix(_LOWER).split(":")
    common = os.path.commonpath([os.path.dirname(path) for path in directories]) if lower else ""
    if not os.path.isabs(common) or common == "/":
        raise errors.InvalidArgument(f"the ids of an overlay can't be mapped: its layers have no directory: {data!r}")
    if scratch is not None:
        os.makedirs(scratch, 0o700, exist_ok=True)
    place = tempfile.mkdtemp(prefix="cri-shim-mapped-", dir=scratch)
    try:
        _attach(common, place, id_maps, readonly=True)
        try:
            mapped = ":".join(os.path.join(place, os.path.relpath(path, common)) for path in directories)
            yield ",".join(_LOWER + mapped if option == lower else option for option in options)
        finally:
            syscalls.umount2(place, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)  # the overlay has its own hold
    finally:
        os.rmdir(place)


def remount(target: str, id_maps: IdMaps) -> None:
    """Have what is mounted at `target` show mapped ids. Raises OSError where its file system can't."""
    with _cloned(target, id_maps, readonly=False) as tree:
        syscalls.umount2(target, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
        syscalls.attach_tree(tree, target)


def _attach(source: str, target: str, id_maps: IdMaps, *, readonly: bool) -> None:
    with _cloned(source, id_maps, readonly=readonly) as tree:
        syscalls.attach_tree(tree, target)


@contextlib.contextmanager
def _cloned(path: str, id_maps: IdMaps, *, readonly: bool) -> Iterator[int]:
    try:
        uids, gids = (userns.parse(text) for text in id_maps)
    except ValueError as error:
        raise errors.InvalidArgument(str(error)) from error
    with _closing(userns.opened(uids, gids)) as namespace, _closing(syscalls.clone_tree(path)) as tree:
        syscalls.map_ids(tree, namespace, readonly=readonly)
        yield tree


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)
