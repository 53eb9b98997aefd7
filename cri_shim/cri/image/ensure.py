"""The sandbox image, there before it is needed: looked up, and pulled only when it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.image.pull import pull, pull_snapshotter
from cri_shim.errors import NotFound
from cri_shim.state import reference

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.images import ImageRecord


async def ensure_sandbox_image(parts: Parts, pod: cri.PodSandboxConfig) -> ImageRecord:
    """The image of `pinned_images.sandbox`. Raises what a pull of it raises."""
    name = parts.settings.images.pinned_images["sandbox"]
    try:
        return parts.images.resolve(name)
    except NotFound:
        snapshotter = pull_snapshotter(parts, cri.ImageSpec(image=name), pod)
        return await pull(parts, reference.normalised(name), None, snapshotter)
