"""ImageStatus: an image that isn't there is an answer, not an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri import verbose
from cri_shim.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts


def image_status(parts: Parts, request: cri.ImageStatusRequest) -> cri.ImageStatusResponse:
    """The image, or an empty answer. InvalidArgument when none is named."""
    if request.image is None or not request.image.image:
        raise InvalidArgument("image.image is missing: give a reference or an id")
    try:
        image = parts.images.resolve(request.image.image)
    except NotFound:
        return cri.ImageStatusResponse()
    info = {}
    if request.verbose:
        info = verbose.info({"chainID": image.chain_id, "imageSpec": msgspec.to_builtins(image.config)})
        if (timeline := parts.pulls.timeline(image.id)) is not None:
            info["timeline"] = timeline.to_json()
    return cri.ImageStatusResponse(image=image.to_cri(), info=info)
