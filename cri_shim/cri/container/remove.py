"""RemoveContainer: record, snapshot, directories, name. A running container is killed first."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri import remains
from cri_shim.cri.container.stop import end_container
from cri_shim.cri.events import DELETED, container_event
from cri_shim.cri.kill import ended
from cri_shim.errors import NotFound
from cri_shim.observe.containerd_names import CONTAINER_REMOVE
from cri_shim.state.overlap import settle

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container

EXIT_SECONDS = 10.0  # for an exit to be recorded; a disk that takes longer keeps nothing from being removed


async def remove_container(parts: Parts, request: cri.RemoveContainerRequest) -> cri.RemoveContainerResponse:
    """Remove a container and all that it had; one that doesn't exist is removed."""
    with suppress(NotFound):
        container = parts.containers.find(request.container_id)
        with CONTAINER_REMOVE.success(container.runtime.name):
            await remove(parts, container)
    return cri.RemoveContainerResponse()


async def remove(parts: Parts, container: Container) -> None:
    """Remove `container`, joining a removal of it that is under way."""
    await end_container(parts, container)
    if container.status.finished_at:  # seen by clients before it is on disk and told of: both must precede the removal
        await ended(container.exited, EXIT_SECONDS)
    await parts.flights.join(f"removal of container {container.id}", None, lambda: _remove(parts, container))


async def _remove(parts: Parts, container: Container) -> None:
    async with container.lock:
        container.removing = True
        try:
            await _take_apart(parts, container)
        finally:
            container.removing = False
        parts.containers.remove(container)
        parts.container_names.release(container.id)
        parts.selinux_levels.release(container.id)
        container_event(parts, container, DELETED)


async def _take_apart(parts: Parts, container: Container) -> None:
    if container.io is not None:
        await container.io.close()
        container.io = None
    if not container.status.started_at:  # a start that was cut off may have left a task
        await remains.remove_task(parts, container.id)
    await settle(
        [
            remains.remove_container(parts, container.id),
            remains.remove_snapshot(parts, container.runtime.snapshotter, container.id, container.metadata.sandbox_id),
            remains.remove_container_files(parts, container.id),
        ]
    )
