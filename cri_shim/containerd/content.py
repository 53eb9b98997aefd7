"""containerd's content store: blobs by digest, and the ingests that are becoming blobs."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread
from google.protobuf.field_mask_pb2 import FieldMask

from cri_shim.api.containerd.services.content.v1 import content_pb2 as pb
from cri_shim.api.containerd.services.content.v1.content_grpc import ContentStub
from cri_shim.errors import AlreadyExists, ResourceExhausted

if TYPE_CHECKING:
    from cri_shim.containerd.channel import Channel

# Manifests and configurations are what we read; registries refuse larger manifests, containerd reads up to 8 MiB.
READ_LIMIT = 8 << 20
_PIECE = 1 << 20


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _digest(path: str) -> tuple[str, int]:
    """The digest and the size of a file. Blocks."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return f"sha256:{digest}", file.tell()


class Content:
    """The service `containerd.services.content.v1.Content`. NotFound is raised for an unknown digest or ref."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stub = ContentStub(channel.grpc)

    async def read(self, digest: str, *, limit: int = READ_LIMIT) -> bytes:
        """The blob `digest`; ResourceExhausted when it has more than `limit` bytes."""
        request = pb.ReadContentRequest(digest=digest, size=limit + 1)
        data = b"".join([part.data for part in await self._channel.read_all(self._stub.Read, request)])
        if len(data) > limit:
            raise ResourceExhausted(f"blob {digest} has more than the {limit} bytes that are read of one")
        return data

    async def save(self, digest: str, path: str) -> None:
        """Write the blob `digest`, of any size, to the new file `path` (0600). Raises FileExistsError, OSError."""
        request = pb.ReadContentRequest(digest=digest)
        async with self._channel.open(self._stub.Read) as stream:
            await stream.send_message(request, end=True)
            async with await anyio.open_file(path, "xb", opener=_private) as file:
                async for part in stream:
                    await file.write(part.data)

    async def write(self, path: str, *, ref: str, lease: str) -> tuple[str, int]:
        """Make a blob of the file `path`, held by `lease`; its digest and size. `ref` names the ingest meanwhile.

        Raises OSError when the file can't be read. A blob that is there already is as good as a new one.
        """
        digest, size = await to_thread.run_sync(_digest, path)
        begin = pb.WriteContentRequest(action=pb.STAT, ref=ref, total=size, expected=digest)
        try:
            async with self._channel.open(self._stub.Write, lease=lease) as stream:
                await stream.send_message(begin)
                await stream.recv_message()
                async with await anyio.open_file(path, "rb") as file:
                    offset = 0
                    while data := await file.read(_PIECE):
                        piece = pb.WriteContentRequest(action=pb.WRITE, ref=ref, offset=offset, data=data)
                        await stream.send_message(piece)
                        await stream.recv_message()
                        offset += len(data)
                commit = pb.WriteContentRequest(action=pb.COMMIT, ref=ref, total=size, offset=size, expected=digest)
                await stream.send_message(commit, end=True)
                await stream.recv_message()
        except AlreadyExists:
            pass
        return digest, size

    async def info(self, digest: str) -> pb.Info:
        """Size, times and labels of the blob `digest`."""
        return (await self._channel.read(self._stub.Info, pb.InfoRequest(digest=digest))).info

    async def update(self, info: pb.Info, *field_paths: str, lease: str | None = None) -> pb.Info:
        """Replace the labels named (`labels.x`) of the blob `info.digest`."""
        request = pb.UpdateRequest(info=info, update_mask=FieldMask(paths=field_paths))
        return (await self._channel.call(self._stub.Update, request, lease=lease)).info

    async def delete(self, digest: str) -> None:
        """Remove the blob `digest` at once, whatever refers to it."""
        await self._channel.call(self._stub.Delete, pb.DeleteContentRequest(digest=digest))

    async def statuses(self, *filters: str) -> list[pb.Status]:
        """The ingests under way that match any of `filters`."""
        reply = await self._channel.read(self._stub.ListStatuses, pb.ListStatusesRequest(filters=filters))
        return list(reply.statuses)

    async def abort(self, ref: str) -> None:
        """Throw away the ingest `ref`."""
        await self._channel.call(self._stub.Abort, pb.AbortRequest(ref=ref))

    async def list(self, *filters: str) -> list[pb.Info]:
        """The blobs that match any of `filters`; all of the namespace's without one."""
        parts = await self._channel.read_all(self._stub.List, pb.ListContentRequest(filters=filters))
        return [info for part in parts for info in part.info]
