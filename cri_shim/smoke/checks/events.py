"""GetContainerEvents: what a kubelet hears of containers without asking."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from cri_shim.api.runtime import v1 as cri
from cri_shim.smoke.check import Capability
from cri_shim.smoke.expect import equal, eventually, present, that

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.smoke.subject import Subject

events = Capability("events")
Kind = cri.ContainerEventType
_ALL = [
    Kind.CONTAINER_CREATED_EVENT,
    Kind.CONTAINER_STARTED_EVENT,
    Kind.CONTAINER_STOPPED_EVENT,
    Kind.CONTAINER_DELETED_EVENT,
]


class _Heard:
    """The events of one subscriber."""

    def __init__(self) -> None:
        self.events: list[cri.ContainerEventResponse] = []

    def of(self, container: str) -> list[Kind]:
        return [event.container_event_type for event in self.events if event.container_id == container]


@asynccontextmanager
async def _listening(s: Subject) -> AsyncIterator[_Heard]:
    heard = _Heard()

    async def listen() -> None:
        async for event in s.runtime.get_container_events(cri.GetEventsRequest()):
            heard.events.append(event)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await anyio.sleep(0.3)  # nothing tells that the subscription is there
        yield heard
        tasks.cancel_scope.cancel()


async def _life(s: Subject) -> tuple[str, str]:
    """A pod and a container in it, from their beginning to their end; their ids."""
    pod = await s.pod()
    container = await s.run(s.container_config(), pod)
    await s.stop(container)
    await s.remove(container)
    await s.stop_pod(pod)
    await s.remove_pod(pod)
    return pod.id, container


async def _all_of(heard: _Heard, subject: str, what: str) -> None:
    async def complete() -> bool | None:
        return len(heard.of(subject)) >= len(_ALL) or None

    await eventually(complete, f"four events of the {what}", 15, lambda: [kind.name for kind in heard.of(subject)])
    equal(f"the events of the {what}", _ALL, heard.of(subject))


@events.check
async def life_of_a_container_is_told(s: Subject) -> None:
    """That a container was created, started, stopped and deleted is told, once each, in this order."""
    async with _listening(s) as heard:
        _, container = await _life(s)
        await _all_of(heard, container, "container")


@events.check
async def life_of_a_pod_is_told(s: Subject) -> None:
    """The same for a pod, under its own id."""
    async with _listening(s) as heard:
        pod, _ = await _life(s)
        await _all_of(heard, pod, "pod")


@events.check
async def every_subscriber_is_told(s: Subject) -> None:
    """Two subscribers hear the same."""
    async with _listening(s) as one, _listening(s) as other:
        _, container = await _life(s)
        for heard in (one, other):
            await _all_of(heard, container, "container")


@events.check
async def status_comes_along(s: Subject) -> None:
    """An event carries the pod's status and its containers', so that nobody has to ask."""
    async with _listening(s) as heard:
        container = await s.run(s.container_config())

        async def started() -> cri.ContainerEventResponse | None:
            wanted = (container, Kind.CONTAINER_STARTED_EVENT)
            return next(
                (each for each in heard.events if (each.container_id, each.container_event_type) == wanted), None
            )

        event = await eventually(started, "the event of the start")
    pod = await s.shared_pod()
    equal("the pod", pod.id, present(event.pod_sandbox_status, "the pod's status").id)
    named = [status.id for status in event.containers_statuses]
    that(container in named, "the container's status", named)
    that(event.created_at > 0, "a time", event.created_at)
