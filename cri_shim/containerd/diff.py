"""containerd's diff service: a layer's content unpacked onto mounts, and a layer made of what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.containerd.services.diff.v1 import diff_pb2 as pb
from cri_shim.api.containerd.services.diff.v1.diff_grpc import DiffStub

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cri_shim.api.containerd.types.descriptor_pb2 import Descriptor
    from cri_shim.api.containerd.types.mount_pb2 import Mount
    from cri_shim.containerd.channel import Channel


class Diff:
    """The service `containerd.services.diff.v1.Diff`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stub = DiffStub(channel.grpc)

    async def apply(
        self, layer: Descriptor, mounts: Iterable[Mount], *, sync_fs: bool = False, lease: str | None = None
    ) -> Descriptor:
        """Unpack the blob `layer` onto `mounts`; the descriptor of its uncompressed content. Takes as long as it takes.

        Raises NotFound when the blob is not in the content store, Unimplemented for an unknown media type.
        """
        request = pb.ApplyRequest(diff=layer, mounts=mounts, sync_fs=sync_fs)
        return (await self._channel.call(self._stub.Apply, request, timeout=None, lease=lease)).applied

    async def compare(
        self,
        lower: Iterable[Mount],
        upper: Iterable[Mount],
        media_type: str,
        *,
        ref: str,
        lease: str | None = None,
    ) -> Descriptor:
        """A layer of `media_type` with what `upper` changes in `lower`, as a blob; its descriptor.

        `ref` names the ingest, and `lease` holds the blob. Takes as long as it takes; Unimplemented for an unknown
        media type.
        """
        request = pb.DiffRequest(left=lower, right=upper, media_type=media_type, ref=ref)
        return (await self._channel.call(self._stub.Diff, request, timeout=None, lease=lease)).diff
