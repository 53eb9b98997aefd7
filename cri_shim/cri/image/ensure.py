"""The sandbox image, there before it is needed: looked up, read from a file where one is named, and else pulled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.image.archive import import_archive
from cri_shim.cri.image.pull import labels_of, pull, pull_snapshotter, record
from cri_shim.cri.image.transfer import Wanted
from cri_shim.cri.image.unpack import ensure_unpacked
from cri_shim.errors import CriError, NotFound
from cri_shim.observe.timeline import step
from cri_shim.state import reference

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.images import ImageRecord

log = structlog.get_logger(__name__)


async def ensure_sandbox_image(parts: Parts, pod: cri.PodSandboxConfig) -> ImageRecord:
    """The image of `pinned_images.sandbox`. Raises what a pull of it raises."""
    name = parts.settings.images.pinned_images["sandbox"]
    try:
        return parts.images.resolve(name)
    except NotFound:
        snapshotter = pull_snapshotter(parts, cri.ImageSpec(image=name), pod)
    normalised = reference.normalised(name)
    if parts.settings.shim.sandbox_image_archive:
        wanted = Wanted(normalised, None, snapshotter, labels_of(parts, normalised))
        try:
            return await parts.flights.join("import of the sandbox image", None, lambda: _import(parts, wanted))
        except CriError as error:
            log.warning("the sandbox image is not to be had from its archive, and is pulled", error=str(error))
    return await pull(parts, normalised, None, snapshotter)


async def _import(parts: Parts, wanted: Wanted) -> ImageRecord:
    path = parts.settings.shim.sandbox_image_archive
    with step("import", lane="image"):
        await import_archive(parts, path, wanted)
        try:
            image = await record(parts, wanted)
        except NotFound as error:
            raise error.because(f"sandbox_image_archive {path!r} has no image of that name") from error
    await ensure_unpacked(parts, image, wanted.snapshotter)
    return image
