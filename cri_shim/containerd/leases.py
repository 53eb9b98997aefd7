"""containerd's leases: what holds resources back from its garbage collection while nothing else refers to them."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import structlog

from cri_shim.api.containerd.services.leases.v1 import leases_pb2 as pb
from cri_shim.api.containerd.services.leases.v1.leases_grpc import LeasesStub
from cri_shim.errors import CriError, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from cri_shim.containerd.channel import Channel

EXPIRE_LABEL = "containerd.io/gc.expire"
_RELEASE_SECONDS = 30.0
_TEMPORARY = "cri-shim-"  # and a random number: the beginning of their ids

log = structlog.get_logger(__name__)


class Leases:
    """The service `containerd.services.leases.v1.Leases`. A lease is put on a call by its `lease=` argument."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stub = LeasesStub(channel.grpc)

    async def create(self, id: str, labels: Mapping[str, str] | None = None) -> pb.Lease:  # noqa: A002
        """Make the lease `id`; AlreadyExists when it is there."""
        return (await self._channel.call(self._stub.Create, pb.CreateRequest(id=id, labels=labels))).lease

    async def delete(self, id: str, *, sync: bool = False) -> None:  # noqa: A002  (the protocol's word)
        """Give up the lease `id`, or NotFound; `sync` waits for the garbage collection."""
        await self._channel.call(self._stub.Delete, pb.DeleteRequest(id=id, sync=sync), timeout=300.0 if sync else 30.0)

    async def resources(self, id: str) -> list[pb.Resource]:  # noqa: A002  (the protocol's word)
        """What the lease `id` holds."""
        return list((await self._channel.read(self._stub.ListResources, pb.ListResourcesRequest(id=id))).resources)

    @asynccontextmanager
    async def temporary(self, hours: float = 24.0) -> AsyncIterator[str]:
        """The id of a lease that ends with the block, and after `hours` if we do not live to end it."""
        expires = datetime.now(UTC) + timedelta(hours=hours)
        id_ = f"{_TEMPORARY}{secrets.token_hex(8)}"
        await self.create(id_, {EXPIRE_LABEL: expires.strftime("%Y-%m-%dT%H:%M:%SZ")})
        try:
            yield id_
        finally:
            with anyio.move_on_after(_RELEASE_SECONDS, shield=True):
                await self._release(id_)

    async def _release(self, id_: str) -> None:
        try:
            await self.delete(id_)
        except NotFound:  # collected, or deleted by an operator: gone is what we want
            pass
        except CriError as error:
            log.warning("a lease is left until cri-shim starts again, or until it expires", lease=id_, error=str(error))

    async def release_leftovers(self) -> None:
        """Give up the temporary leases that a server before us, killed, has left: nobody works under them."""
        for lease in await self.list():
            if lease.id.startswith(_TEMPORARY) and EXPIRE_LABEL in lease.labels:
                await self._release(lease.id)

    async def list(self, *filters: str) -> list[pb.Lease]:
        """The leases that match any of `filters`; all without one."""
        return list((await self._channel.read(self._stub.List, pb.ListRequest(filters=filters))).leases)
