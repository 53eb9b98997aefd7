"""containerd's event stream: exits, OOM kills, changes of images."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from cri_shim.api.containerd.services.events.v1 import events_pb2 as pb
from cri_shim.api.containerd.services.events.v1.events_grpc import EventsStub
from cri_shim.containerd import typeurl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from google.protobuf.message import Message

    from cri_shim.api.containerd.types.event_pb2 import Envelope
    from cri_shim.containerd.channel import Channel


class Events:
    """The service `containerd.services.events.v1.Events`."""

    def __init__(self, channel: Channel, streams: Channel) -> None:
        self._channel = channel
        self._stub = EventsStub(channel.grpc)
        self._streams = streams
        self._streaming = EventsStub(streams.grpc)

    @asynccontextmanager
    async def subscribe(self, *filters: str) -> AsyncIterator[AsyncIterator[Envelope]]:
        """The events of all namespaces that match any of `filters`, as they come, until the block ends.

        containerd keeps no history, and neither end knows what a lost stream would have carried: after Unavailable,
        subscribe again and then look at everything.
        """
        request = pb.SubscribeRequest(filters=filters)
        async with self._streams.stay(self._streaming.Subscribe) as stream:
            await stream.send_message(request, end=True)
            yield aiter(stream)

    async def publish(self, topic: str, event: Message) -> None:
        """Send `event` to all who subscribe to `topic` (`/images/...`)."""
        await self._channel.call(self._stub.Publish, pb.PublishRequest(topic=topic, event=typeurl.pack(event)))
