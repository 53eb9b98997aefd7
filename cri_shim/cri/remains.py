"""Taking sandboxes and containers apart, piece by piece: each piece by its id alone, each idempotent.

A piece that is missing is one that has been removed. A failed call undoes with these, the Remove calls remove with
them, recovery clears with them what a `kill -9` left.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from anyio import to_thread

from cri_shim.cni import attachment
from cri_shim.cri.handler import oci_runtime
from cri_shim.errors import CriError, NotFound
from cri_shim.linux import netns
from cri_shim.linux.files import remove_tree, remove_trees
from cri_shim.linux.shims import kill_processes, kill_shims

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.metadata import SandboxMetadata
    from cri_shim.state.sandbox import RuntimeChoice


log = structlog.get_logger(__name__)


async def remove_task(parts: Parts, task_id: str) -> None:
    """Kill and delete a task, and release its shim."""
    tasks = parts.containerd.tasks
    with suppress(NotFound):
        await tasks.kill(task_id, signal.SIGKILL, all=True)
        await tasks.wait(task_id)
    with suppress(NotFound):
        await tasks.delete(task_id)


async def end_shims(parts: Parts, task_id: str) -> int:
    """Kill the shims that containerd started for a task; how many there were."""
    return await to_thread.run_sync(kill_shims, parts.settings.containerd.address, parts.containerd.namespace, task_id)


async def end_lost(parts: Parts, container_id: str, runtime: RuntimeChoice) -> None:
    """End what a container's shim has left by its death: processes, cgroups, the runtime's state of it.

    Nobody else could any more: containerd clears away a pod's first task alone.
    """
    if killed := await to_thread.run_sync(kill_processes, container_id):
        log.warning("processes of a lost container killed", container_id=container_id, processes=killed)
    program = oci_runtime(runtime, parts.containerd.namespace)
    if program is None or not await to_thread.run_sync(program.knows, container_id):
        return
    try:
        await program.delete(container_id)
    except (CriError, OSError) as error:
        log.error("the runtime can't remove a lost container", container_id=container_id, error=str(error))
    else:
        log.info("lost container removed by its runtime", container_id=container_id, runtime=program.binary)


async def remove_container(parts: Parts, container_id: str) -> None:
    """Delete a container's record."""
    with suppress(NotFound):
        await parts.containerd.containers.delete(container_id)


async def remove_snapshot(parts: Parts, snapshotter: str, key: str, lease: str | None = None) -> None:
    """Remove a writable layer, and forget it in the lease that has held it and goes on."""
    with suppress(NotFound):
        await parts.containerd.snapshots.remove(snapshotter, key, lease=lease)


async def remove_network(parts: Parts, metadata: SandboxMetadata) -> None:
    """CNI DEL, then the namespace. Without a stored result the network never came to be: errors are tolerated."""
    path = metadata.netns_path
    if not path:
        return
    alive = await to_thread.run_sync(netns.is_netns, path)
    await parts.network(metadata.runtime_handler).delete(
        attachment(metadata.config, metadata.id, path if alive else ""), result_known=metadata.cni_result is not None
    )
    await netns.remove(path)


async def remove_container_files(parts: Parts, container_id: str) -> None:
    """Unmount and remove the container's directories, FIFOs included."""
    paths = parts.paths
    await to_thread.run_sync(remove_trees, paths.container_state(container_id), paths.container_root(container_id))


async def remove_image_volumes(parts: Parts, sandbox_id: str) -> None:
    """Unmount and remove what is left of the pod's image mounts; their snapshots go with the lease."""
    await to_thread.run_sync(remove_tree, parts.paths.image_volumes(sandbox_id))


async def remove_sandbox_files(parts: Parts, sandbox_id: str) -> None:
    """Unmount and remove the sandbox's directories."""
    paths = parts.paths
    await to_thread.run_sync(remove_trees, paths.sandbox_state(sandbox_id), paths.sandbox_root(sandbox_id))


async def remove_lease(parts: Parts, sandbox_id: str) -> None:
    """Delete the sandbox's lease."""
    with suppress(NotFound):
        await parts.containerd.leases.delete(sandbox_id)


async def remove_record(parts: Parts, sandbox_id: str) -> None:
    """Delete the sandbox store's record: the last thing, for it names all the others."""
    with suppress(NotFound):
        await parts.containerd.sandboxes.delete(sandbox_id)
