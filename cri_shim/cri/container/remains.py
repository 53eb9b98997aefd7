"""Taking a container apart, piece by piece: each piece by its id alone, each idempotent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import to_thread

from cri_shim.cri.sandbox.remains import remove_container, remove_snapshot, remove_task
from cri_shim.linux.files import remove_trees

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts

__all__ = ["remove_container", "remove_files", "remove_snapshot", "remove_task"]


async def remove_files(parts: Parts, container_id: str) -> None:
    """Unmount and remove the container's directories, FIFOs included."""
    await to_thread.run_sync(
        remove_trees, parts.paths.container_state(container_id), parts.paths.container_root(container_id)
    )
