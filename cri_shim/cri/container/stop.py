"""StopContainer: the stop signal, the grace period, then SIGKILL; the answer comes when the exit has been observed."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import structlog

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.container.exit import handle_container_exit, watch_container
from cri_shim.cri.container.stop_signal import DEFAULT, number
from cri_shim.cri.kill import LOOK_SECONDS, ended, kill_task, send, thaw
from cri_shim.errors import InvalidArgument, NotFound
from cri_shim.observe.containerd_names import CONTAINER_STOP

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container

log = structlog.get_logger(__name__)

_STOPPABLE = (cri.ContainerState.CONTAINER_RUNNING, cri.ContainerState.CONTAINER_UNKNOWN)


async def stop_container(parts: Parts, request: cri.StopContainerRequest) -> cri.StopContainerResponse:
    """Stop a container, giving it `timeout` seconds after its stop signal.

    One that doesn't exist, or doesn't run, is stopped; one that is paused is thawed. Raises DeadlineExceeded when it
    survives SIGKILL.
    """
    with suppress(NotFound):
        container = parts.containers.find(request.container_id)
        with CONTAINER_STOP.success(container.runtime.name):
            await end_container(parts, container, request.timeout)
    return cri.StopContainerResponse()


async def end_container(parts: Parts, container: Container, grace: int = 0) -> None:
    """End a container's process and wait until its exit has been observed; `grace` is in seconds, none for 0."""
    async with container.lock:  # a start under way comes to its end first
        if container.status.state not in _STOPPABLE:
            return
        if container.status.unknown:
            await _find_out(parts, container)
    if grace > 0 and await _ended_gracefully(parts, container, grace):
        return
    await kill_task(parts, container.id, container.metadata.sandbox_id, container.exited)


async def _ended_gracefully(parts: Parts, container: Container, grace: int) -> bool:
    """Send the stop signal, unless an earlier stop has, and wait; whether the container ended in time."""
    if not container.stop_signal_sent:
        if not await send(parts, container.id, stop_signal(container)):
            return False
        container.stop_signal_sent = True
    with anyio.move_on_after(grace):
        if not await ended(container.exited, LOOK_SECONDS):
            await thaw(parts, container.id)
            await container.exited.wait()
    return container.exited.is_set()


def stop_signal(container: Container) -> int:
    """The number of the container's stop signal: SIGTERM where its image names one that doesn't exist."""
    try:
        return number(container.metadata.stop_signal or DEFAULT)
    except InvalidArgument as error:
        log.warning("using SIGTERM", container_id=container.id, because=str(error))
        return signal.SIGTERM


async def _find_out(parts: Parts, container: Container) -> None:
    """Watch a container of unknown state, or, its task being gone, let it have ended."""
    try:
        await parts.containerd.tasks.get(container.id)
    except NotFound:
        await handle_container_exit(parts, container, await parts.exits.wait(container.id))
    else:
        watch_container(parts, container)
