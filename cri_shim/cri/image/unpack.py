"""Unpacking an image that is in the content store into a snapshotter that has not got it, without a download.

containerd's Transfer service unpacks as it fetches, but only into the snapshotters of its `unpack_config`, without the
labels that snapshotters may ask for, and without a sync. Where one of these is wanted it fetches alone, and this comes
next.
Source: containerd `client/image.go` (`Image.Unpack`), `core/unpack/unpacker.go`, `pkg/snapshotters/annotations.go`.
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
    from cri_shim.state.image_content import Descriptor, ImageContent
    from cri_shim.state.images import ImageRecord

_REFERENCE_LABEL = "containerd.io/snapshot.ref"
_INHERITED = "containerd.io/snapshot/"
_LONGEST_LABEL = 4096  # key and value together (containerd `pkg/labels/validate.go`)
_LABELS_ITSELF = "enable_remote_snapshot_annotations"


async def unpacks_as_it_fetches(parts: Parts, snapshotter: str) -> bool:
    """Whether the Transfer service unpacks into `snapshotter` as it is asked to; it refuses what it can't."""
    images = parts.settings.images
    able = any(one.snapshotter == snapshotter for one in parts.settings.transfer.unpack_config)
    if not able or images.image_pull_with_sync_fs:
        return False
    if images.disable_snapshot_annotations:
        return True
    plugins = await parts.containerd.introspection.plugins(f"type==io.containerd.snapshotter.v1,id=={snapshotter}")
    return any(plugin.exports.get(_LABELS_ITSELF) == "true" for plugin in plugins)


async def ensure_unpacked(parts: Parts, image: ImageRecord, snapshotter: str) -> None:
    """Make the image's layers there in `snapshotter`, joining an unpacking that is under way.

    Raises NotFound when layers are not in the content store (`discard_unpacked_layers`): then the image must be pulled.
    """
    if image.chain_id and not await is_there(parts, snapshotter, image.chain_id):
        await parts.flights.join(
            f"unpacking of {image.id} into {snapshotter}", None, lambda: _unpack(parts, image, snapshotter)
        )


async def is_there(parts: Parts, snapshotter: str, chain_id: str) -> bool:
    """Whether `snapshotter` has the layers up to `chain_id`."""
    try:
        await parts.containerd.snapshots.stat(snapshotter, chain_id)
    except NotFound:
        return False
    return True


async def _unpack(parts: Parts, image: ImageRecord, snapshotter: str) -> None:
    containerd = parts.containerd
    content = await read_image(containerd.content, image.target, parts.architecture)
    annotated = not parts.settings.images.disable_snapshot_annotations
    labels = layer_labels(content, image.references[0] if annotated else "")
    parent = ""
    with step("unpack", lane="image"):
        async with containerd.leases.temporary() as lease:
            diff_ids = content.config.rootfs.diff_ids
            layers = zip(content.layers, diff_ids, content.chain_ids, labels, strict=True)
            for layer, diff_id, chain_id, layer_label in layers:
                if not await is_there(parts, snapshotter, chain_id):
                    await _apply(parts, snapshotter, layer, diff_id, chain_id, parent, layer_label, lease)
                parent = chain_id
            label = f"containerd.io/gc.ref.snapshot.{snapshotter}"
            info = content_pb2.Info(digest=content.config_descriptor.digest, labels={label: parent})
            await containerd.content.update(info, f"labels.{label}")


def layer_labels(content: ImageContent, reference: str = "") -> list[dict[str, str]]:
    """The labels of each layer's snapshot, from the lowest up: those that its descriptor has for snapshotters.

    With a `reference`, those by which a remote snapshotter finds the layer, too.
    """
    return [
        {key: value for key, value in (layer.annotations or {}).items() if key.startswith(_INHERITED)}
        | (_findable(content, number, reference) if reference else {})
        | {_REFERENCE_LABEL: chain_id}
        for number, (layer, chain_id) in enumerate(zip(content.layers, content.chain_ids, strict=True))
    ]


def _findable(content: ImageContent, number: int, reference: str) -> dict[str, str]:
    key = f"{_INHERITED}cri.image-layers"
    above = content.layers[number].digest
    for layer in content.layers[number + 1 :]:
        if len(key) + len(above) + 1 + len(layer.digest) > _LONGEST_LABEL:
            break
        above += f",{layer.digest}"
    return {
        f"{_INHERITED}cri.image-ref": reference,
        f"{_INHERITED}cri.manifest-digest": content.manifest,
        f"{_INHERITED}cri.layer-digest": content.layers[number].digest,
        key: above,
    }


def _check(layer: Descriptor, applied: str, diff_id: str) -> None:
    if applied != diff_id:
        raise DataLoss(f"layer {layer.digest} unpacks to {applied}, its image says {diff_id}: pull it again")


async def _apply(
    parts: Parts,
    snapshotter: str,
    layer: Descriptor,
    diff_id: str,
    chain_id: str,
    parent: str,
    labels: dict[str, str],
    lease: str,
) -> None:
    """Unpack one layer on its parent."""
    snapshots, namespace = parts.containerd.snapshots, parts.containerd.namespace
    key = f"extract-{namespace}-{secrets.token_hex(8)} {chain_id}"
    try:
        mounts = await snapshots.prepare(snapshotter, key, parent, labels, lease=lease)
    except AlreadyExists:  # so a snapshotter says that it has the layer by other ways
        await snapshots.stat(snapshotter, chain_id)
        return
    try:
        blob = descriptor_pb2.Descriptor(media_type=layer.media_type, digest=layer.digest, size=layer.size)
        sync_fs = parts.settings.images.image_pull_with_sync_fs
        applied = await parts.containerd.diff.apply(blob, mounts, sync_fs=sync_fs, lease=lease)
        _check(layer, applied.digest, diff_id)
        with suppress(AlreadyExists):
            await snapshots.commit(snapshotter, chain_id, key, labels, lease=lease)
            return
        await snapshots.remove(snapshotter, key)  # somebody else was quicker
    except BaseException:
        with anyio.move_on_after(CLEANUP_SECONDS, shield=True), suppress(NotFound):
            await snapshots.remove(snapshotter, key)
        raise
