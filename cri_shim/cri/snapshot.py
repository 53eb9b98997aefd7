"""The writable layer of a container, on top of its image's layers, its files the pod's users'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.cri.image.unpack import ensure_unpacked
from cri_shim.cri.remapping import remapping
from cri_shim.errors import AlreadyExists, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cri_shim.api.containerd.types import mount_pb2
    from cri_shim.api.runtime import v1 as cri
    from cri_shim.cri.parts import Parts
    from cri_shim.linux.shift_owners import Owners
    from cri_shim.state.images import ImageRecord


_FOR_SNAPSHOTTERS = "containerd.io/snapshot/"


@dataclass(frozen=True)
class Snapshot:
    """How to mount a snapshot; `shifted` is whose its files are on disk, where the snapshotter doesn't map ids."""

    mounts: Sequence[mount_pb2.Mount]
    shifted: Owners | None = None


def snapshot_labels(annotations: Mapping[str, str]) -> dict[str, str]:
    """The annotations of a pod that are meant for the snapshotter; its pause container's snapshot carries them."""
    return {key: value for key, value in annotations.items() if key.startswith(_FOR_SNAPSHOTTERS)}


async def prepare_snapshot(
    parts: Parts,
    image: ImageRecord,
    snapshotter: str,
    key: str,
    users: cri.UserNamespace | None,
    labels: Mapping[str, str] | None = None,
    *,
    lease: str,
) -> Snapshot:
    """Prepare the snapshot `key` on `image`, to be a root file system of `users`, None for the node's.

    An image whose layers are not unpacked in this snapshotter (it was pulled for another one, or imported) is unpacked
    first, from content. `labels` are for the snapshotter; `lease` holds the snapshot until a container record refers
    to it. Raises FailedPrecondition where its files can't be the users'.
    """
    prepare = _Preparing(parts, image, snapshotter, key, users, labels or {}, lease)
    try:
        return await prepare()
    except NotFound:
        await ensure_unpacked(parts, image, snapshotter)
        return await prepare()


@dataclass(frozen=True)
class _Preparing:
    parts: Parts
    image: ImageRecord
    snapshotter: str
    key: str
    users: cri.UserNamespace | None
    labels: Mapping[str, str]
    lease: str

    async def __call__(self) -> Snapshot:
        snapshots, snapshotter = self.parts.containerd.snapshots, self.snapshotter
        found = await remapping(self.parts, snapshotter, self.image.chain_id, self.users, lease=self.lease)
        labels = {**self.labels, **found.labels}
        try:
            mounts = await snapshots.prepare(snapshotter, self.key, found.parent, labels, lease=self.lease)
        except AlreadyExists:
            mounts = await snapshots.mounts(snapshotter, self.key)
        return Snapshot(mounts, found.shifted)
