"""Taking a sandbox apart, piece by piece: each piece by its id alone, each idempotent.

A piece that is missing is one that has been removed. RunPodSandbox undoes with these, RemovePodSandbox removes with
them, recovery clears with them what a `kill -9` left.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from anyio import to_thread

from cri_shim.errors import NotFound
from cri_shim.linux.files import remove_trees

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts


async def remove_task(parts: Parts, task_id: str) -> None:
    """Kill and delete a task, and release its shim."""
    tasks = parts.containerd.tasks
    with suppress(NotFound):
        await tasks.kill(task_id, signal.SIGKILL, all=True)
        await tasks.wait(task_id)
    with suppress(NotFound):
        await tasks.delete(task_id)


async def remove_container(parts: Parts, container_id: str) -> None:
    """Delete a container's record."""
    with suppress(NotFound):
        await parts.containerd.containers.delete(container_id)


async def remove_snapshot(parts: Parts, snapshotter: str, key: str) -> None:
    """Remove a writable layer."""
    with suppress(NotFound):
        await parts.containerd.snapshots.remove(snapshotter, key)


async def remove_files(parts: Parts, sandbox_id: str) -> None:
    """Unmount and remove the sandbox's directories."""
    await to_thread.run_sync(remove_trees, parts.paths.sandbox_state(sandbox_id), parts.paths.sandbox_root(sandbox_id))


async def remove_lease(parts: Parts, sandbox_id: str) -> None:
    """Delete the sandbox's lease."""
    with suppress(NotFound):
        await parts.containerd.leases.delete(sandbox_id)


async def remove_record(parts: Parts, sandbox_id: str) -> None:
    """Delete the sandbox store's record: the last thing, for it names all the others."""
    with suppress(NotFound):
        await parts.containerd.sandboxes.delete(sandbox_id)
