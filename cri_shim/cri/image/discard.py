"""`discard_unpacked_layers`: an image's compressed layers are given up once they are unpacked.

What holds a layer in the content store is a label of its manifest; without it, containerd collects it.
Source: containerd `core/images/handlers.go` (`ChildGCLabelsFilterLayers`), `docs/garbage-collection.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.containerd.services.content.v1 import content_pb2
from cri_shim.cri.image.unpack import is_there
from cri_shim.state.image_content import read_image

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts

_HOLDS = "containerd.io/gc.ref.content"


async def discard_layers(parts: Parts, target: str, snapshotter: str) -> None:
    """Let go of the layers of the image at `target`, an index or a manifest, if `snapshotter` has them."""
    containerd = parts.containerd
    content = await read_image(containerd.content, target, parts.architecture)
    if not content.layers or not await is_there(parts, snapshotter, content.chain_ids[-1]):
        return
    layers = {layer.digest for layer in content.layers}
    held = (await containerd.content.info(content.manifest)).labels
    names = [name for name, value in held.items() if name.startswith(_HOLDS) and value in layers]
    if names:
        info = content_pb2.Info(digest=content.manifest, labels=dict.fromkeys(names, ""))
        async with containerd.leases.temporary():  # at whose end containerd looks for what is held no more
            await containerd.content.update(info, *(f"labels.{name}" for name in names))
