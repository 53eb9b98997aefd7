"""ListImages and StreamImages: from memory alone, each item encoded once between two changes of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import Encoded
from cri_shim.cri.chunks import chunks
from cri_shim.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from cri_shim.cri.parts import Parts
    from cri_shim.state.images import ImageRecord


def list_images(parts: Parts, request: cri.ListImagesRequest) -> Encoded[cri.ListImagesResponse]:
    """The images, or the one that the filter names (containerd's plugin ignores the filter)."""
    items = b"".join(parts.images.list_item(image) for image in select_images(parts, request.filter))
    return Encoded(cri.ListImagesResponse, items)


async def stream_images(
    parts: Parts, request: cri.StreamImagesRequest
) -> AsyncIterator[Encoded[cri.StreamImagesResponse]]:
    """As `list_images`, in pieces: the images as they are when each piece is made."""
    items = (parts.images.list_item(image) for image in select_images(parts, request.filter))
    for chunk in chunks(cri.StreamImagesResponse, items):
        yield chunk


def select_images(parts: Parts, wanted: cri.ImageFilter | None) -> Iterable[ImageRecord]:
    """The images that `wanted` asks for: all without a filter."""
    if wanted is None or wanted.image is None or not wanted.image.image:
        return list(parts.images)
    try:
        return [parts.images.resolve(wanted.image.image)]
    except (NotFound, InvalidArgument):
        return []
