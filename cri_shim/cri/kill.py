"""From SIGKILL to an observed exit: what is frozen is thawed, and a shim that doesn't answer is ended in its turn.

A frozen process takes no signal, on cgroup v1 not even SIGKILL. A shim that hangs answers neither us nor containerd,
and keeps its pod from ever ending; once it is gone, containerd itself ends what it ran.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import structlog

from cri_shim.api.containerd.types.task import task_pb2
from cri_shim.cri import remains
from cri_shim.errors import CriError, DeadlineExceeded, NotFound

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts

log = structlog.get_logger(__name__)

KILL_SECONDS = 60.0  # from SIGKILL to an observed exit; past it a process is stuck in the kernel
LOOK_SECONDS = 1.0  # most exits take milliseconds; one that hasn't come by then is worth a look
SHIM_KILLED = "the pod's shim did not answer and was killed, and the pod's containers with it"


async def kill_task(parts: Parts, task_id: str, sandbox_id: str, exited: anyio.Event) -> None:
    """Kill a task of a pod and wait until its exit has been observed.

    Raises DeadlineExceeded when even that doesn't end it; the next call tries again.
    """
    delivered = await send(parts, task_id, signal.SIGKILL)
    if await ended(exited, LOOK_SECONDS):
        return
    answers = await thaw(parts, task_id)
    if not delivered and answers:
        await send(parts, task_id, signal.SIGKILL)
    elif not delivered:
        await _end_shim(parts, task_id, sandbox_id)
    if await ended(exited, KILL_SECONDS):
        return
    raise DeadlineExceeded(
        f"task {task_id} did not end within {KILL_SECONDS:.0f} s of SIGKILL: a process in it is stuck in the kernel "
        "(see its state with `ps`); the next stop tries again"
    )


async def send(parts: Parts, task_id: str, number: int) -> bool:
    """Send a signal to a task, which may have ended; whether its shim answered."""
    try:
        with suppress(NotFound):
            await parts.containerd.tasks.kill(task_id, number, timeout=parts.settings.shim.shim_timeout)
    except DeadlineExceeded:
        log.warning("the shim doesn't answer", task=task_id, seconds=parts.settings.shim.shim_timeout)
        return False
    return True


async def ended(exited: anyio.Event, seconds: float) -> bool:
    """Whether an exit is observed within so many seconds."""
    with anyio.move_on_after(seconds):
        await exited.wait()
    return exited.is_set()


async def thaw(parts: Parts, task_id: str) -> bool:
    """Let a paused task run, so that signals reach it; whether its shim answers, to which containerd gives 2 s."""
    try:
        process = await parts.containerd.tasks.get(task_id)
        if process.status in (task_pb2.PAUSED, task_pb2.PAUSING):
            log.info("thawing a paused task, so that it can end", task=task_id)
            await parts.containerd.tasks.resume(task_id)
    except CriError as error:  # it has ended meanwhile, or will be seen not to
        log.info("a task that doesn't end can't be looked at", task=task_id, error=str(error))
        return True
    return process.status != task_pb2.UNKNOWN


async def _end_shim(parts: Parts, task_id: str, sandbox_id: str) -> None:
    """End the shim that the task has for itself, else the one that it shares with its pod."""
    killed = await remains.end_shims(parts, task_id)
    if not killed:
        for container in parts.containers_of(sandbox_id):
            if container.running:
                container.update_status(message=SHIM_KILLED)
        killed = await remains.end_shims(parts, sandbox_id)
    log.error("shim killed: it did not answer", task=task_id, pod_sandbox_id=sandbox_id, shims=killed)
