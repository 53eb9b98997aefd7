"""GetContainerEvents: every change, in order, with the pod's status, to each who listens."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread

from cri_shim.api.runtime import v1 as cri
from integration.kubelet import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet, Pod

pytestmark = pytest.mark.anyio

Kind = cri.ContainerEventType
CREATED, STARTED = Kind.CONTAINER_CREATED_EVENT, Kind.CONTAINER_STARTED_EVENT
STOPPED, DELETED = Kind.CONTAINER_STOPPED_EVENT, Kind.CONTAINER_DELETED_EVENT


@dataclass
class Listener:
    """A subscription that goes on while the test does."""

    seen: list[cri.ContainerEventResponse] = field(default_factory=list)

    def of(self, *ids: str) -> list[tuple[str, Kind]]:
        """What has been seen of these pods and containers."""
        return [(event.container_id, event.container_event_type) for event in self.seen if event.container_id in ids]

    async def until(self, about: str, kind: Kind) -> cri.ContainerEventResponse:
        async def found() -> cri.ContainerEventResponse | None:
            return next(
                (item for item in self.seen if (item.container_id, item.container_event_type) == (about, kind)), None
            )

        return await eventually(found, 20)


@asynccontextmanager
async def listening(kubelet: Kubelet, count: int = 1) -> AsyncIterator[list[Listener]]:
    """So many subscribers, which get the events of the block."""
    listeners = [Listener() for _ in range(count)]

    async def listen(listener: Listener) -> None:
        async for event in kubelet.runtime.get_container_events(cri.GetEventsRequest()):
            listener.seen.append(event)

    async with anyio.create_task_group() as tasks:
        for listener in listeners:
            tasks.start_soon(listen, listener)
        await all_listen(kubelet, listeners)
        yield listeners
        tasks.cancel_scope.cancel()


async def all_listen(kubelet: Kubelet, listeners: list[Listener]) -> None:
    """A subscription is not acknowledged: make something happen until every one has heard of it."""

    async def heard() -> bool | None:
        pod = await kubelet.run_pod()
        await kubelet.stop_pod(pod)
        await kubelet.remove_pod(pod)
        return all(listener.of(pod.id) for listener in listeners) or None

    await eventually(heard, 30)


def life(about: str) -> list[tuple[str, Kind]]:
    return [(about, kind) for kind in (CREATED, STARTED, STOPPED, DELETED)]


async def whole_life(kubelet: Kubelet) -> tuple[Pod, str]:
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod)
    await kubelet.stop(container)
    await kubelet.remove(container)
    await kubelet.stop_pod(pod)
    await kubelet.remove_pod(pod)
    return pod, container


async def test_a_life_is_told_in_order_to_all_who_listen(kubelet: Kubelet, endpoint: str) -> None:
    async with listening(kubelet, 2) as listeners:
        pod, container = await whole_life(kubelet)
        for listener in listeners:
            await listener.until(pod.id, DELETED)
            assert listener.of(container) == life(container)
            assert listener.of(pod.id) == life(pod.id)
            both = listener.of(pod.id, container)
            assert both.index((pod.id, STARTED)) < both.index((container, CREATED))
            assert both.index((container, DELETED)) < both.index((pod.id, STOPPED))
        started = await listeners[0].until(container, STARTED)
        assert started.pod_sandbox_status
        assert started.pod_sandbox_status.id == pod.id
        assert started.pod_sandbox_status.metadata == pod.config.metadata
        assert started.pod_sandbox_status.state == cri.PodSandboxState.SANDBOX_READY
        (status,) = started.containers_statuses
        assert (status.id, status.state) == (container, cri.ContainerState.CONTAINER_RUNNING)
        assert started.created_at >= status.started_at > 0
        stopped = (await listeners[0].until(container, STOPPED)).containers_statuses[0]
        assert (stopped.state, stopped.exit_code) == (cri.ContainerState.CONTAINER_EXITED, 137)
        assert (await listeners[0].until(container, DELETED)).containers_statuses == []
        if endpoint == "shim":  # by it the kubelet knows whose end it is; containerd's plugin has forgotten it by then
            gone = (await listeners[0].until(pod.id, DELETED)).pod_sandbox_status
            assert gone
            assert (gone.id, gone.state) == (pod.id, cri.PodSandboxState.SANDBOX_NOTREADY)
        times = [event.created_at for event in listeners[0].seen]
        assert times == sorted(times)


@pytest.mark.shim_only  # containerd's plugin tells of them in the order of a hash table
async def test_a_pods_containers_are_told_of_the_newest_first(kubelet: Kubelet) -> None:
    """With its gate EventedPLEG, a kubelet takes the first of a name for the one that there is now."""
    async with listening(kubelet) as (listener,):
        pod = await kubelet.run_pod()
        containers: list[str] = []
        for attempt in range(6):
            config = kubelet.container_config()
            assert config.metadata
            config.metadata.attempt = attempt
            containers.insert(0, await kubelet.run(pod, config))
        assert [one.id for one in (await kubelet.pod_status(pod)).containers_statuses] == containers
        started = await listener.until(containers[0], STARTED)
        assert [one.id for one in started.containers_statuses] == containers


@pytest.mark.shim_only  # containerd's own CRI restarts with it, and its subscribers are cut off
async def test_no_event_is_lost_or_doubled_by_many_at_once_and_a_restart_of_containerd(
    kubelet: Kubelet, running: RunningNode
) -> None:
    async with listening(kubelet) as (listener,):
        pod = await kubelet.run_pod()
        left = await kubelet.run(pod, kubelet.container_config(["sh", "-c", "sleep 2"], name="left"))
        ids: list[str] = []

        async def one(number: int) -> None:
            container = await kubelet.run(pod, kubelet.container_config(["true"], name=f"short-{number}"))
            ids.append(container)
            await kubelet.exited(container)
            await kubelet.remove(container)

        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(one, number)
        running.containerd.daemon.restart()
        await listener.until(left, STOPPED)
        assert listener.of(left) == life(left)[:3]
        for container in ids:
            assert listener.of(container) == life(container)
        assert len(ids) == 12


async def lives(kubelet: Kubelet, pod: Pod, count: int, name: str) -> list[str]:
    """Containers that end at once and are removed as soon as they have, several at a time; their ids."""
    ids: list[str] = []
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            container = await kubelet.run(pod, kubelet.container_config(["true"], name=f"{name}-{number}"))
            ids.append(container)
            await kubelet.exited(container, 60)
            await kubelet.remove(container)

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(worker)
    assert len(set(ids)) == count
    return ids


async def test_lives_are_told_to_all_who_listen_each_event_once_and_in_order(kubelet: Kubelet) -> None:
    """Each container is gone as soon as it has ended, as in a node full of jobs."""
    async with listening(kubelet, 2) as listeners:
        ids = await lives(kubelet, await kubelet.run_pod(), 60, "short")
        for listener in listeners:
            for container in ids:
                await listener.until(container, DELETED)
                assert listener.of(container) == life(container)


@pytest.mark.shim_only  # containerd's own CRI restarts with it, and its subscribers are cut off
@pytest.mark.timeout(600)
async def test_of_five_hundred_lives_none_is_lost_or_doubled_though_containerd_restarts(
    kubelet: Kubelet, running: RunningNode
) -> None:
    with anyio.fail_after(500):
        async with listening(kubelet) as (listener,):
            pod = await kubelet.run_pod()
            ids = await lives(kubelet, pod, 240, "before")
            dying = [
                await kubelet.run(pod, kubelet.container_config(["sleep", "1"], name=f"dying-{number}"))
                for number in range(20)
            ]
            await to_thread.run_sync(running.containerd.daemon.restart)  # they end meanwhile
            for container in dying:
                await kubelet.exited(container, 60)
                await kubelet.remove(container)
            ids += dying + await lives(kubelet, pod, 240, "after")
            for container in ids:
                await listener.until(container, DELETED)
        assert len(set(ids)) == 500
        told: dict[str, list[tuple[str, Kind]]] = {}
        for event in listener.seen:
            told.setdefault(event.container_id, []).append((event.container_id, event.container_event_type))
        assert all(told[container] == life(container) for container in ids)
        times = [event.created_at for event in listener.seen]
        assert times == sorted(times)


@pytest.mark.shim_only  # containerd's plugin tells only of containers that have run
async def test_a_container_that_could_not_start_has_stopped(kubelet: Kubelet) -> None:
    async with listening(kubelet) as (listener,):
        pod = await kubelet.run_pod()
        container = await kubelet.create(pod, kubelet.container_config(["/no/such/program"]))
        with pytest.raises(Exception, match="no such file"):
            await kubelet.start(container)
        event = await listener.until(container, STOPPED)
        assert event.containers_statuses[0].reason == "StartError"
        assert listener.of(container) == [(container, CREATED), (container, STOPPED)]


@pytest.mark.shim_only  # containerd's plugin starts it, whoever has gone
async def test_a_start_that_is_given_up_is_told_of_once(kubelet: Kubelet) -> None:
    """Its log hangs, so that the call is cut off when the process runs already."""
    async with listening(kubelet) as (listener,):
        pod = await kubelet.run_pod()
        container = await kubelet.create(pod, kubelet.container_config(["sleep", "100"]))
        path = kubelet.path((await kubelet.status(container)).log_path)
        await anyio.Path(path).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
        with anyio.move_on_after(1) as scope:
            await kubelet.start(container)
        assert scope.cancelled_caught
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            event = await listener.until(container, STOPPED)
            await whole_life(kubelet)  # what else there were would have been told by its end
        finally:
            os.close(reader)
        assert event.containers_statuses[0].reason == "StartError"
        assert listener.of(container) == [(container, CREATED), (container, STOPPED)]
