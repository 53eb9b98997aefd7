"""containerd's container records: what to run, from which snapshot, with which labels. No process is involved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.field_mask_pb2 import FieldMask

from cri_shim.api.containerd.services.containers.v1.containers_grpc import ContainersStub
from cri_shim.api.containerd.services.containers.v1.containers_pb2 import (
    Container,
    CreateContainerRequest,
    DeleteContainerRequest,
    GetContainerRequest,
    ListContainersRequest,
    UpdateContainerRequest,
)

if TYPE_CHECKING:
    from cri_shim.containerd.channel import Channel


class Containers:
    """The service `containerd.services.containers.v1.Containers`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stub = ContainersStub(channel.grpc)

    async def create(self, container: Container, *, lease: str | None = None) -> Container:
        """Store `container`; the record as stored. AlreadyExists when its id is taken."""
        request = CreateContainerRequest(container=container)
        return (await self._channel.call(self._stub.Create, request, lease=lease)).container

    async def get(self, id: str) -> Container:  # noqa: A002  (the protocol's word)
        """The record of container `id`, or NotFound."""
        return (await self._channel.read(self._stub.Get, GetContainerRequest(id=id))).container

    async def list(self, *filters: str) -> list[Container]:
        """The records that match any of `filters` (containerd's filter syntax); all of them without one."""
        return list((await self._channel.read(self._stub.List, ListContainersRequest(filters=filters))).containers)

    async def update(self, container: Container, *field_paths: str) -> Container:
        """Replace the fields named (`labels.x`, `extensions.y`, `spec`, ...); all mutable ones without a name."""
        request = UpdateContainerRequest(container=container, update_mask=FieldMask(paths=field_paths))
        return (await self._channel.call(self._stub.Update, request)).container

    async def delete(self, id: str) -> None:  # noqa: A002  (the protocol's word)
        """Remove the record of container `id`, or NotFound. Its snapshot becomes garbage, its task must be gone."""
        await self._channel.call(self._stub.Delete, DeleteContainerRequest(id=id))
