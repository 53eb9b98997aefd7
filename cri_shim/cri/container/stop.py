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
from cri_shim.errors import DeadlineExceeded, InvalidArgument, NotFound

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container

log = structlog.get_logger(__name__)

KILL_SECONDS = 60.0  # from SIGKILL to an observed exit; past it the shim, or a process in the kernel, is stuck

_STOPPABLE = (cri.ContainerState.CONTAINER_RUNNING, cri.ContainerState.CONTAINER_UNKNOWN)


async def stop_container(parts: Parts, request: cri.StopContainerRequest) -> cri.StopContainerResponse:
    """Stop a container, giving it `timeout` seconds after its stop signal.

    One that doesn't exist, or doesn't run, is stopped. Raises DeadlineExceeded when it survives SIGKILL.
    """
    with suppress(NotFound):
        await end_container(parts, parts.containers.find(request.container_id), request.timeout)
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
    await _send(parts, container, signal.SIGKILL)
    await observe_exit(f"container {container.id} ({container.metadata.name})", container.exited)


async def observe_exit(whose: str, exited: anyio.Event) -> None:
    """Wait for the exit that SIGKILL must bring about. Raises DeadlineExceeded when it doesn't come."""
    with anyio.move_on_after(KILL_SECONDS):
        await exited.wait()
        return
    raise DeadlineExceeded(
        f"{whose} did not end within {KILL_SECONDS:.0f} s of SIGKILL: "
        "its shim or a process in it is stuck (see its state with `ps`); the next stop tries again"
    )


async def _ended_gracefully(parts: Parts, container: Container, grace: int) -> bool:
    """Send the stop signal, unless an earlier stop has, and wait; whether the container ended in time."""
    if not container.stop_signal_sent:
        await _send(parts, container, stop_signal(container))
        container.stop_signal_sent = True
    with anyio.move_on_after(grace):
        await container.exited.wait()
        return True
    return False


def stop_signal(container: Container) -> int:
    """The number of the container's stop signal: SIGTERM where its image names one that doesn't exist."""
    try:
        return number(container.metadata.stop_signal or DEFAULT)
    except InvalidArgument as error:
        log.warning("using SIGTERM", container=container.id, because=str(error))
        return signal.SIGTERM


async def _send(parts: Parts, container: Container, number_: int) -> None:
    with suppress(NotFound):
        await parts.containerd.tasks.kill(container.id, number_)


async def _find_out(parts: Parts, container: Container) -> None:
    """Watch a container of unknown state, or, its task being gone, let it have ended."""
    try:
        await parts.containerd.tasks.get(container.id)
    except NotFound:
        await handle_container_exit(parts, container, await parts.exits.wait(container.id))
    else:
        watch_container(parts, container)
