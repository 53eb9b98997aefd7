"""containerd's snapshots: the layers of a root file system, by snapshotter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.field_mask_pb2 import FieldMask

from cri_shim.api.containerd.services.snapshots.v1 import snapshots_pb2 as pb
from cri_shim.api.containerd.services.snapshots.v1.snapshots_grpc import SnapshotsStub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cri_shim.api.containerd.types.mount_pb2 import Mount
    from cri_shim.containerd.channel import Channel

# Preparing and removing may unpack, chown or delete a whole tree in some snapshotters.
SLOW_SECONDS = 120.0


@dataclass(frozen=True)
class Usage:
    """What a snapshot takes without its parents: bytes, and inodes."""

    size: int
    inodes: int


class Snapshots:
    """The service `containerd.services.snapshots.v1.Snapshots`; the first argument names the snapshotter.

    Every method raises NotFound for an unknown key, InvalidArgument for an unknown snapshotter.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stub = SnapshotsStub(channel.grpc)

    async def prepare(
        self,
        snapshotter: str,
        key: str,
        parent: str,
        labels: Mapping[str, str] | None = None,
        *,
        lease: str | None = None,
    ) -> list[Mount]:
        """Make the writable snapshot `key` on `parent` (a chain id, or "" for none); how to mount it.

        Raises AlreadyExists when the key is taken, NotFound when the parent is not there.
        """
        request = pb.PrepareSnapshotRequest(snapshotter=snapshotter, key=key, parent=parent, labels=labels)
        reply = await self._channel.call(self._stub.Prepare, request, timeout=SLOW_SECONDS, lease=lease)
        return list(reply.mounts)

    async def view(
        self,
        snapshotter: str,
        key: str,
        parent: str,
        labels: Mapping[str, str] | None = None,
        *,
        lease: str | None = None,
    ) -> list[Mount]:
        """As `prepare`, read-only."""
        request = pb.ViewSnapshotRequest(snapshotter=snapshotter, key=key, parent=parent, labels=labels)
        reply = await self._channel.call(self._stub.View, request, timeout=SLOW_SECONDS, lease=lease)
        return list(reply.mounts)

    async def mounts(self, snapshotter: str, key: str) -> list[Mount]:
        """How to mount the writable or view snapshot `key`."""
        request = pb.MountsRequest(snapshotter=snapshotter, key=key)
        return list((await self._channel.read(self._stub.Mounts, request)).mounts)

    async def commit(
        self,
        snapshotter: str,
        name: str,
        key: str,
        labels: Mapping[str, str] | None = None,
        *,
        lease: str | None = None,
    ) -> None:
        """Turn the writable snapshot `key` into the parent-to-be `name`; AlreadyExists when that is there."""
        request = pb.CommitSnapshotRequest(snapshotter=snapshotter, name=name, key=key, labels=labels)
        await self._channel.call(self._stub.Commit, request, timeout=SLOW_SECONDS, lease=lease)

    async def remove(self, snapshotter: str, key: str, *, lease: str | None = None) -> None:
        """Remove the snapshot `key`, from `lease` too, which otherwise goes on listing it.

        FailedPrecondition while others stand on it.
        """
        request = pb.RemoveSnapshotRequest(snapshotter=snapshotter, key=key)
        await self._channel.call(self._stub.Remove, request, timeout=SLOW_SECONDS, lease=lease)

    async def stat(self, snapshotter: str, key: str) -> pb.Info:
        """Kind, parent, times and labels of the snapshot `key`."""
        return (
            await self._channel.read(self._stub.Stat, pb.StatSnapshotRequest(snapshotter=snapshotter, key=key))
        ).info

    async def update(self, snapshotter: str, info: pb.Info, *field_paths: str) -> pb.Info:
        """Replace the labels named (`labels.x`) of the snapshot `info.name`."""
        mask = FieldMask(paths=field_paths)
        request = pb.UpdateSnapshotRequest(snapshotter=snapshotter, info=info, update_mask=mask)
        return (await self._channel.call(self._stub.Update, request)).info

    async def usage(self, snapshotter: str, key: str) -> Usage:
        """What the snapshot `key` takes; of a writable one it is measured now, which walks its files."""
        request = pb.UsageRequest(snapshotter=snapshotter, key=key)
        reply = await self._channel.read(self._stub.Usage, request, timeout=SLOW_SECONDS)
        return Usage(reply.size, reply.inodes)

    async def list(self, snapshotter: str, *filters: str) -> list[pb.Info]:
        """The snapshots that match any of `filters`; all of the namespace's without one."""
        request = pb.ListSnapshotsRequest(snapshotter=snapshotter, filters=filters)
        parts = await self._channel.read_all(self._stub.List, request, timeout=SLOW_SECONDS)
        return [info for part in parts for info in part.info]
