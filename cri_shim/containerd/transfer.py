"""containerd's Transfer service: images between registries, streams and its store, done by containerd itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.containerd.services.transfer.v1.transfer_grpc import TransferStub
from cri_shim.api.containerd.services.transfer.v1.transfer_pb2 import TransferOptions, TransferRequest
from cri_shim.containerd import typeurl

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cri_shim.containerd.channel import Channel


class Transfer:
    """The service `containerd.services.transfer.v1.Transfer`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stub = TransferStub(channel.grpc)

    async def __call__(
        self, source: Message, destination: Message, *, progress_stream: str = "", lease: str | None = None
    ) -> None:
        """Transfer from `source` to `destination` (messages of `containerd.types.transfer`), however long it takes.

        Cancelling the call ends the transfer. Raises the registry's answer as containerd classifies it.
        """
        request = TransferRequest(
            source=typeurl.pack(source),
            destination=typeurl.pack(destination),
            options=TransferOptions(progress_stream=progress_stream),
        )
        await self._channel.call(self._stub.Transfer, request, timeout=None, lease=lease)
