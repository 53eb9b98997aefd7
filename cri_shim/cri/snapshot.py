"""The writable layer of a container, on top of its image's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.cri.image.unpack import ensure_unpacked
from cri_shim.errors import AlreadyExists, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cri_shim.api.containerd.types import mount_pb2
    from cri_shim.cri.parts import Parts
    from cri_shim.state.images import ImageRecord


_FOR_SNAPSHOTTERS = "containerd.io/snapshot/"


def snapshot_labels(annotations: Mapping[str, str]) -> dict[str, str]:
    """The annotations of a pod that are meant for the snapshotter; its pause container's snapshot carries them."""
    return {key: value for key, value in annotations.items() if key.startswith(_FOR_SNAPSHOTTERS)}


async def prepare_snapshot(
    parts: Parts,
    image: ImageRecord,
    snapshotter: str,
    key: str,
    labels: Mapping[str, str] | None = None,
    *,
    lease: str,
) -> Sequence[mount_pb2.Mount]:
    """Prepare the snapshot `key` on `image` and answer the mounts that make it a root file system.

    An image whose layers are not unpacked in this snapshotter (it was pulled for another one, or imported) is unpacked
    first, from content. `labels` are for the snapshotter; `lease` holds the snapshot until a container record refers
    to it.
    """
    snapshots = parts.containerd.snapshots
    try:
        return await snapshots.prepare(snapshotter, key, image.chain_id, labels, lease=lease)
    except NotFound:
        await ensure_unpacked(parts, image, snapshotter)
        return await snapshots.prepare(snapshotter, key, image.chain_id, labels, lease=lease)
    except AlreadyExists:
        return await snapshots.mounts(snapshotter, key)
