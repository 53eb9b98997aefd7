"""/etc/passwd and /etc/group of images, read once per image and kept.

A container's root file system is, when it is created, its image's: so what was read for one container holds for the
next, and CreateContainer mounts nothing.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import TYPE_CHECKING

from anyio import to_thread

from cri_shim.linux.mounts import Mount, temporary
from cri_shim.linux.rootfs import read_file
from cri_shim.oci.users import Accounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.api.containerd.types import mount_pb2

_MOST_KEPT = 256


class AccountsCache:
    """The account files of the images last used, by snapshotter and chain id; `directory` is for short-lived mounts."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._known: OrderedDict[tuple[str, str], Accounts] = OrderedDict()

    def known(self, snapshotter: str, chain_id: str) -> Accounts | None:
        """The account files of the image `chain_id`, if they have been read."""
        return self._known.get((snapshotter, chain_id))

    async def of(self, snapshotter: str, chain_id: str, mounts: Sequence[mount_pb2.Mount]) -> Accounts:
        """The account files of the image `chain_id`, read through `mounts` of a fresh snapshot of it if need be."""
        key = (snapshotter, chain_id)
        if (known := self._known.get(key)) is None:
            known = self._known[key] = await to_thread.run_sync(self._read, linux_mounts(mounts))
            if len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return known

    def _read(self, mounts: list[Mount]) -> Accounts:
        os.makedirs(self._directory, 0o700, exist_ok=True)
        with temporary(mounts, readonly=True, directory=self._directory) as root:
            return Accounts(passwd=read_file(root, "etc/passwd"), group=read_file(root, "etc/group"))


def linux_mounts(mounts: Sequence[mount_pb2.Mount]) -> list[Mount]:
    """Containerd's mounts as ours."""
    return [Mount(mount.type, mount.source, mount.target, tuple(mount.options)) for mount in mounts]
