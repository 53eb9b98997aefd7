"""The writable layer of a container, on top of its image's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.cri.image.unpack import ensure_unpacked
from cri_shim.errors import AlreadyExists, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.api.containerd.types import mount_pb2
    from cri_shim.cri.parts import Parts
    from cri_shim.state.images import ImageRecord


async def prepare_snapshot(
    parts: Parts,
    image: ImageRecord,
    snapshotter: str,
    key: str,
    *,
    lease: str,
) -> Sequence[mount_pb2.Mount]:
    """Prepare the snapshot `key` on `image` and answer the mounts that make it a root file system.

    An image whose layers are not unpacked in this snapshotter (it was pulled for another one, or imported) is unpacked
    first, from content. `lease` holds the snapshot until a container record refers to it.
    """
    snapshots = parts.containerd.snapshots
    try:
        return await snapshots.prepare(snapshotter, key, image.chain_id, lease=lease)
    except NotFound:
        await ensure_unpacked(parts, image, snapshotter)
        return await snapshots.prepare(snapshotter, key, image.chain_id, lease=lease)
    except AlreadyExists:
        return await snapshots.mounts(snapshotter, key)
