"""RemovePodSandbox: whatever is left of a pod, taken apart in an order that a `kill -9` may cut anywhere.

The sandbox record goes last: as long as it is there, recovery shows the pod, and a Remove can be sent again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri import remains
from cri_shim.cri.container.remove import remove as remove_container
from cri_shim.cri.events import DELETED, sandbox_event
from cri_shim.cri.sandbox.stop import stop
from cri_shim.errors import NotFound
from cri_shim.observe.containerd_names import SANDBOX_REMOVE
from cri_shim.state.overlap import settle

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.sandbox import Sandbox


async def remove_pod_sandbox(parts: Parts, request: cri.RemovePodSandboxRequest) -> cri.RemovePodSandboxResponse:
    """Stop a pod and remove all of it, containers included; one that doesn't exist is removed."""
    with suppress(NotFound):
        sandbox = parts.sandboxes.find(request.pod_sandbox_id)
        with SANDBOX_REMOVE.success(sandbox.runtime.name):
            await stop(parts, sandbox)
            await parts.flights.join(f"removal of sandbox {sandbox.id}", None, lambda: _remove(parts, sandbox))
    return cri.RemovePodSandboxResponse()


async def _remove(parts: Parts, sandbox: Sandbox) -> None:
    async with sandbox.lock:
        await settle([remove_container(parts, container) for container in parts.containers_of(sandbox.id)])
        if not sandbox.exited.is_set():  # else the task was deleted with its exit
            await remains.remove_task(parts, sandbox.id)
        await settle(
            [
                remains.remove_container(parts, sandbox.id),
                remains.remove_snapshot(parts, sandbox.runtime.snapshotter, sandbox.id),
                remains.remove_sandbox_files(parts, sandbox.id),
                remains.remove_lease(parts, sandbox.id),
            ]
        )
        await remains.remove_record(parts, sandbox.id)
        parts.sandboxes.remove(sandbox)
        parts.sandbox_names.release(sandbox.id)
        parts.selinux_levels.release(sandbox.id)
        sandbox_event(parts, sandbox, DELETED)
