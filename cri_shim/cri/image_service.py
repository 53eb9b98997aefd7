"""The RPC table of the ImageService: each method one line, to its verb.

A method that is not here answers Unimplemented, from the generated base.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.image import fs_info, pull, remove, status
from cri_shim.cri.image import list as list_

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.codec import Encoded
    from cri_shim.cri.parts import Parts


class ImageService(cri.ImageServiceBase):
    """`runtime.v1.ImageService` on the parts of this node."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def list_images(  # type: ignore[override]  # its response is encoded already
        self, message: cri.ListImagesRequest
    ) -> Encoded[cri.ListImagesResponse]:
        return list_.list_images(self._parts, message)

    def stream_images(  # type: ignore[override]
        self, message: cri.StreamImagesRequest
    ) -> AsyncIterator[Encoded[cri.StreamImagesResponse]]:
        return list_.stream_images(self._parts, message)

    async def image_status(self, message: cri.ImageStatusRequest) -> cri.ImageStatusResponse:
        return status.image_status(self._parts, message)

    async def pull_image(self, message: cri.PullImageRequest) -> cri.PullImageResponse:
        return await pull.pull_image(self._parts, message)

    async def remove_image(self, message: cri.RemoveImageRequest) -> cri.RemoveImageResponse:
        return await remove.remove_image(self._parts, message)

    async def image_fs_info(self, message: cri.ImageFsInfoRequest) -> cri.ImageFsInfoResponse:  # noqa: ARG002
        return fs_info.image_fs_info(self._parts)
