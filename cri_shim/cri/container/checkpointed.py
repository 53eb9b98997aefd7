"""A change of a container's status, in memory and on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import to_thread

from cri_shim.state import checkpoint

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container


async def checkpointed(parts: Parts, container: Container, **changes: object) -> None:
    """Change the status, then write it to the container's checkpoint, durably.

    Memory goes first, for readers must not wait for a disk. One write follows the other, each of what the status is by
    then: changes come from several sides (a verb, the exit, the OOM killer), and the last must not be overtaken. Raises
    OSError when the checkpoint can't be written; the change stands.
    """
    container.update_status(**changes)
    async with container.checkpoint_lock:
        await to_thread.run_sync(checkpoint.write, parts.paths.container_root(container.id), container.status)
