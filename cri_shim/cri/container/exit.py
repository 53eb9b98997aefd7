"""When a container's process ends: its output is written out, its task deleted, its status made final."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio
import structlog

from cri_shim.cri import remains
from cri_shim.cri.container.checkpointed import checkpointed
from cri_shim.cri.container.oom import was_oom_killed
from cri_shim.cri.events import STOPPED, container_event
from cri_shim.cri.log_names import about_container
from cri_shim.errors import NotFound
from cri_shim.state.container import REASON_OOM_KILLED, REASON_UNKNOWN

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.events.exits import Exit
    from cri_shim.state.container import Container

log = structlog.get_logger(__name__)

# A process that outlives the container's first one (host pid namespace) may hold the pipes open for ever.
DRAIN_SECONDS = 10.0


def watch_container(parts: Parts, container: Container) -> None:
    """Have the end of the container's task noticed."""
    with about_container(parts, container):
        parts.exits.watch(container.id, partial(handle_container_exit, parts, container))


async def handle_container_exit(parts: Parts, container: Container, exit_: Exit) -> None:
    """Make the exit final. Called again after a failure, it goes on where it was."""
    changes: dict[str, object] = {}
    if not container.status.finished_at:
        # The runtime's clock stamped the end, ours the start: nobody shall read that it ended before it began.
        finished_at = max(exit_.at, container.status.started_at)
        changes = {"pid": 0, "finished_at": finished_at, "exit_code": exit_.status, "unknown": False}
        if not exit_.seen:
            changes["reason"] = REASON_UNKNOWN
            await remains.end_lost(parts, container.id, container.runtime)
        elif await was_oom_killed(parts, container, exit_.status):
            changes["reason"] = REASON_OOM_KILLED
    if container.io is not None:
        with anyio.move_on_after(DRAIN_SECONDS) as scope:
            await container.io.drained()
        if scope.cancelled_caught:
            log.warning("container's output is still open after its end", container_id=container.id)
    with suppress(NotFound):
        await parts.containerd.tasks.delete(container.id)
    await checkpointed(parts, container, **changes)
    if container.io is not None:
        await container.io.close()
        container.io = None
    container.exited.set()
    container_event(parts, container, STOPPED)
    log.info("container ended", container_id=container.id, name=container.metadata.name, exit_code=exit_.status)
