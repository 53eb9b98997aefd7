"""RemoveImage: all names of an image, by any of them; its space is free when the answer comes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts


async def remove_image(parts: Parts, request: cri.RemoveImageRequest) -> cri.RemoveImageResponse:
    """Remove an image; one that isn't there is removed. What containers use of it stays until they go."""
    if request.image is None or not request.image.image:
        raise InvalidArgument("image.image is missing: give a reference or an id")
    with suppress(NotFound):
        image = parts.images.resolve(request.image.image)
        last = image.references[-1]
        for name in image.references:
            with suppress(NotFound):
                await parts.containerd.images.delete(name, sync=name == last)
            await parts.images.refresh(name)
    return cri.RemoveImageResponse()
