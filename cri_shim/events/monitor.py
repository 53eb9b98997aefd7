"""containerd's event stream: images that change, the OOM killer's visits, and whether containerd is there at all.

A lost stream may have carried anything: after each new subscription everything that hangs on it is looked at again.
Exits don't come this way; each task has a wait of its own (`cri_shim.events.exits`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import anyio
import structlog

from cri_shim.api.containerd.events import image_pb2, task_pb2
from cri_shim.containerd import typeurl
from cri_shim.containerd.backoff import doubling
from cri_shim.errors import CriError, Unavailable
from cri_shim.observe.dependencies import event_handled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf import any_pb2

    from cri_shim.api.containerd.types.event_pb2 import Envelope
    from cri_shim.containerd.client import Client

log = structlog.get_logger(__name__)

OOM_TOPIC = "/tasks/oom"
IMAGES = "/images/"
FILTERS = (f'topic=="{OOM_TOPIC}"', f'topic~="{IMAGES}"')
_PAUSES = (0.1, 5.0)  # seconds: the first, the longest


@dataclass
class ContainerdHealth:
    """What is known of containerd: its version, why it can't be used at the moment (None when it can), and what of it
    that is in use will be removed from it, by the warning's id.
    """

    version: str = ""
    problem: str | None = "containerd has not answered yet"
    deprecations: Mapping[str, str] = field(default_factory=dict)


class Listener(Protocol):
    """Who hears of events. Each method is called for one event after the other and must not take long."""

    async def image_changed(self, name: str) -> None:
        """An image was made, changed or removed, by us or by anybody."""

    async def oom(self, container_id: str) -> None:
        """The kernel killed a process of the container for its memory."""

    async def resync(self) -> None:
        """Events may have been lost: look at everything again."""


async def monitor(containerd: Client, health: ContainerdHealth, listener: Listener) -> None:
    """Listen until cancelled, subscribing anew after each loss."""
    pauses = doubling(*_PAUSES)
    while True:
        try:
            async with containerd.events.subscribe(*FILTERS) as events:
                health.version = await containerd.check()
                health.problem = None
                health.deprecations = await containerd.introspection.deprecations()
                pauses = doubling(*_PAUSES)
                await listener.resync()
                async for envelope in events:
                    await _dispatch(envelope, containerd.namespace, listener)
            raise Unavailable("containerd ended the event stream")
        except CriError as error:
            pause = next(pauses)
            health.problem = str(error)
            log.warning("containerd's event stream is lost", error=str(error), next_try_in=pause)
        await anyio.sleep(pause)


def _image_name(event: any_pb2.Any) -> str:
    if typeurl.is_a(event, image_pb2.ImageCreate):
        return typeurl.unpack(event, image_pb2.ImageCreate).name
    if typeurl.is_a(event, image_pb2.ImageUpdate):
        return typeurl.unpack(event, image_pb2.ImageUpdate).name
    return typeurl.unpack(event, image_pb2.ImageDelete).name


async def _dispatch(envelope: Envelope, namespace: str, listener: Listener) -> None:
    if envelope.namespace != namespace:
        return
    try:
        if envelope.topic == OOM_TOPIC:
            await listener.oom(typeurl.unpack(envelope.event, task_pb2.TaskOOM).container_id)
            event_handled("oom", envelope.timestamp.ToNanoseconds())
        elif envelope.topic.startswith(IMAGES):
            await listener.image_changed(_image_name(envelope.event))
            event_handled("image", envelope.timestamp.ToNanoseconds())
    except (CriError, OSError) as error:
        log.warning("event not handled", topic=envelope.topic, error=str(error) or repr(error))
