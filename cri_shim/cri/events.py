"""GetContainerEvents: each change of a pod or container, with the whole pod's status as it was at that moment.

The kubelet's evented PLEG takes its picture of pods from it. An event about a sandbox has the sandbox's id for the
container's.
"""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import structlog

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import Encoded, encode
from cri_shim.cri.container.status import container_statuses_of
from cri_shim.cri.sandbox.status import pod_sandbox_status_of
from cri_shim.errors import CriError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container
    from cri_shim.state.sandbox import Sandbox

log = structlog.get_logger(__name__)

CREATED = cri.ContainerEventType.CONTAINER_CREATED_EVENT
STARTED = cri.ContainerEventType.CONTAINER_STARTED_EVENT
STOPPED = cri.ContainerEventType.CONTAINER_STOPPED_EVENT
DELETED = cri.ContainerEventType.CONTAINER_DELETED_EVENT


async def get_container_events(
    parts: Parts,
    request: cri.GetEventsRequest,  # noqa: ARG001  (it is empty)
) -> AsyncIterator[Encoded[cri.ContainerEventResponse]]:
    """The events from now on; ends with ResourceExhausted when the client is too slow to get them all."""
    async with aclosing(parts.events.listen()) as events:
        async for event in events:
            yield Encoded(cri.ContainerEventResponse, event)


def container_event(parts: Parts, container: Container, kind: cri.ContainerEventType) -> None:
    """Tell of a container, once its status says what has happened."""
    _tell(parts, container.id, parts.sandboxes.get(container.metadata.sandbox_id), kind)


def sandbox_event(parts: Parts, sandbox: Sandbox, kind: cri.ContainerEventType) -> None:
    """Tell of a sandbox; of a deleted one with its last status, by which the kubelet knows whose end it is."""
    _tell(parts, sandbox.id, sandbox, kind)


def _tell(parts: Parts, about: str, sandbox: Sandbox | None, kind: cri.ContainerEventType) -> None:
    """Encode the event now, for its statuses change; no subscriber, and no event, may fail what it tells of."""
    try:
        event = encode(
            cri.ContainerEventResponse(
                container_id=about,
                container_event_type=kind,
                created_at=time.time_ns(),
                pod_sandbox_status=pod_sandbox_status_of(sandbox) if sandbox is not None else None,
                containers_statuses=container_statuses_of(parts, sandbox.id) if sandbox is not None else [],
            )
        )
    except CriError as error:
        log.error("event not told", id=about, kind=kind.name, error=str(error))
    else:
        parts.events.publish(event)
