"""containerd's sandbox store: the record of a pod that outlives its processes. The controller side is not used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.containerd.services.sandbox.v1 import sandbox_pb2 as pb
from cri_shim.api.containerd.services.sandbox.v1.sandbox_grpc import StoreStub

if TYPE_CHECKING:
    from cri_shim.api.containerd.types.sandbox_pb2 import Sandbox
    from cri_shim.containerd.channel import Channel


class Sandboxes:
    """The service `containerd.services.sandbox.v1.Store`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stub = StoreStub(channel.grpc)

    async def create(self, sandbox: Sandbox) -> Sandbox:
        """Store `sandbox`; AlreadyExists when its id is taken."""
        return (await self._channel.call(self._stub.Create, pb.StoreCreateRequest(sandbox=sandbox))).sandbox

    async def update(self, sandbox: Sandbox, *fields: str) -> Sandbox:
        """Replace the fields named (`labels.x`, `extensions.y`, `spec`, `runtime`), or NotFound."""
        request = pb.StoreUpdateRequest(sandbox=sandbox, fields=fields)
        return (await self._channel.call(self._stub.Update, request)).sandbox

    async def get(self, sandbox_id: str) -> Sandbox:
        """The record of `sandbox_id`, or NotFound."""
        return (await self._channel.read(self._stub.Get, pb.StoreGetRequest(sandbox_id=sandbox_id))).sandbox

    async def list(self, *filters: str) -> list[Sandbox]:
        """The records that match any of `filters`; all without one."""
        return list((await self._channel.read(self._stub.List, pb.StoreListRequest(filters=filters))).list)

    async def delete(self, sandbox_id: str) -> None:
        """Remove the record of `sandbox_id`, or NotFound."""
        await self._channel.call(self._stub.Delete, pb.StoreDeleteRequest(sandbox_id=sandbox_id))
