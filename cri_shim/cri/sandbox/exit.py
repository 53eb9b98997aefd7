"""When a sandbox's pause process ends: its task is deleted, and the sandbox is no longer ready."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import structlog

from cri_shim.cri.events import STOPPED, sandbox_event
from cri_shim.cri.log_names import about_sandbox
from cri_shim.errors import NotFound
from cri_shim.state.sandbox import SandboxState

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.events.exits import Exit
    from cri_shim.state.sandbox import Sandbox

log = structlog.get_logger(__name__)


def watch_sandbox(parts: Parts, sandbox: Sandbox) -> None:
    """Have the end of the sandbox's task noticed."""
    with about_sandbox(sandbox):
        parts.exits.watch(sandbox.id, partial(handle_sandbox_exit, parts, sandbox))


async def handle_sandbox_exit(parts: Parts, sandbox: Sandbox, exit_: Exit) -> None:
    """Mark the sandbox as not ready and delete its task, the pod's last. The network namespace stays until Stop."""
    if sandbox.status.state is not SandboxState.NOTREADY:
        sandbox.update_status(state=SandboxState.NOTREADY, pid=0, exited_at=exit_.at, exit_status=exit_.status)
        sandbox_event(parts, sandbox, STOPPED)
        log.info("sandbox ended", pod_sandbox_id=sandbox.id, name=sandbox.metadata.name, exit_status=exit_.status)
    # containerd ends a pod's shim with the sandbox's task, not with a container's: if containers were left by then,
    # nobody would ever end it.
    for container in parts.containers_of(sandbox.id):
        if container.running:
            await container.exited.wait()
    with suppress(NotFound):
        await parts.containerd.tasks.delete(sandbox.id)
    sandbox.exited.set()
