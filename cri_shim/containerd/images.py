"""containerd's image records: a name, labels, and the descriptor of an index or manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.field_mask_pb2 import FieldMask

from cri_shim.api.containerd.services.images.v1 import images_pb2 as pb
from cri_shim.api.containerd.services.images.v1.images_grpc import ImagesStub

if TYPE_CHECKING:
    from cri_shim.containerd.channel import Channel

# A synchronous delete waits for the garbage collection that frees the layers.
COLLECT_SECONDS = 300.0


class Images:
    """The service `containerd.services.images.v1.Images`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stub = ImagesStub(channel.grpc)

    async def get(self, name: str) -> pb.Image:
        """The record called `name`, or NotFound."""
        return (await self._channel.read(self._stub.Get, pb.GetImageRequest(name=name))).image

    async def list(self, *filters: str) -> list[pb.Image]:
        """The records that match any of `filters`; all without one."""
        return list((await self._channel.read(self._stub.List, pb.ListImagesRequest(filters=filters))).images)

    async def create(self, image: pb.Image, *, lease: str | None = None) -> pb.Image:
        """Store `image`; AlreadyExists when its name is taken."""
        return (await self._channel.call(self._stub.Create, pb.CreateImageRequest(image=image), lease=lease)).image

    async def update(self, image: pb.Image, *field_paths: str) -> pb.Image:
        """Replace the fields named (`target`, `labels.x`, ...) of the record called `image.name`, or NotFound."""
        request = pb.UpdateImageRequest(image=image, update_mask=FieldMask(paths=field_paths))
        return (await self._channel.call(self._stub.Update, request)).image

    async def delete(self, name: str, *, sync: bool = False) -> None:
        """Remove the record called `name`, or NotFound; `sync` waits until what it held has been collected."""
        request = pb.DeleteImageRequest(name=name, sync=sync)
        await self._channel.call(self._stub.Delete, request, timeout=COLLECT_SECONDS)
