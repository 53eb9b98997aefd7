"""ReopenContainerLog: after a rotation, writing goes on in a new file; no line is lost, none written twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import Unknown

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts


async def reopen_container_log(parts: Parts, request: cri.ReopenContainerLogRequest) -> cri.ReopenContainerLogResponse:
    """Open the container's log path anew. NotFound for no container, Unknown for one that does not run."""
    container = parts.containers.find(request.container_id)
    if not container.running or container.io is None:
        raise Unknown(f"container {container.id} is not running: there is no log being written to reopen")
    await container.io.reopen_log()
    return cri.ReopenContainerLogResponse()
