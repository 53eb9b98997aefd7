"""Unpacking an image that is in the content store into a snapshotter that has not got it, without a download.

Source: containerd `client/image.go` (`Image.Unpack`), `pkg/rootfs/apply.go`.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from cri_shim.api.containerd.services.content.v1 import content_pb2
from cri_shim.api.containerd.types import descriptor_pb2
from cri_shim.errors import AlreadyExists, DataLoss, NotFound
from cri_shim.observe.timeline import step
from cri_shim.state.image_content import read_image
from cri_shim.state.undo import CLEANUP_SECONDS

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.image_content import Descriptor
    from cri_shim.state.images import ImageRecord

_REFERENCE_LABEL = "containerd.io/snapshot.ref"


async def ensure_unpacked(parts: Parts, image: ImageRecord, snapshotter: str) -> None:
    """Make the image's layers there in `snapshotter`, joining an unpacking that is under way.

    Raises NotFound when layers are not in the content store (`discard_unpacked_layers`): then the image must be pulled.
    """
    await parts.flights.join(
        f"unpacking of {image.id} into {snapshotter}", None, lambda: _unpack(parts, image, snapshotter)
    )


async def _unpack(parts: Parts, image: ImageRecord, snapshotter: str) -> None:
    containerd = parts.containerd
    content = await read_image(containerd.content, image.target, parts.architecture)
    parent = ""
    with step("unpack", lane="image"):
        async with containerd.leases.temporary() as lease:
            diff_ids = content.config.rootfs.diff_ids
            for layer, diff_id, chain_id in zip(content.layers, diff_ids, content.chain_ids, strict=True):
                await _apply(parts, snapshotter, layer, diff_id, chain_id, parent, lease)
                parent = chain_id
            label = f"containerd.io/gc.ref.snapshot.{snapshotter}"
            info = content_pb2.Info(digest=content.config_descriptor.digest, labels={label: parent})
            await containerd.content.update(info, f"labels.{label}")


def _check(layer: Descriptor, applied: str, diff_id: str) -> None:
    if applied != diff_id:
        raise DataLoss(f"layer {layer.digest} unpacks to {applied}, its image says {diff_id}: pull it again")


async def _apply(
    parts: Parts, snapshotter: str, layer: Descriptor, diff_id: str, chain_id: str, parent: str, lease: str
) -> None:
    """Unpack one layer on its parent, unless it is there."""
    snapshots, namespace = parts.containerd.snapshots, parts.containerd.namespace
    with suppress(NotFound):
        await snapshots.stat(snapshotter, chain_id)
        return
    key = f"extract-{namespace}-{secrets.token_hex(8)} {chain_id}"
    mounts = await snapshots.prepare(snapshotter, key, parent, {_REFERENCE_LABEL: chain_id}, lease=lease)
    try:
        blob = descriptor_pb2.Descriptor(media_type=layer.media_type, digest=layer.digest, size=layer.size)
        applied = await parts.containerd.diff.apply(blob, mounts, lease=lease)
        _check(layer, applied.digest, diff_id)
        with suppress(AlreadyExists):
            await snapshots.commit(snapshotter, chain_id, key, {_REFERENCE_LABEL: chain_id}, lease=lease)
            return
        await snapshots.remove(snapshotter, key)  # somebody else was quicker
    except BaseException:
        with anyio.move_on_after(CLEANUP_SECONDS, shield=True), suppress(NotFound):
            await snapshots.remove(snapshotter, key)
        raise
