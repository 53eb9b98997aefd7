"""StopPodSandbox: the pod's processes end and its network goes, at the same time.

Idempotent: what is gone is gone, and a step that fails (CNI out of reach) is done again by the next call.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from anyio import to_thread

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri import remains
from cri_shim.cri.container.image_mounts import unmount_images
from cri_shim.cri.container.stop import end_container
from cri_shim.cri.kill import kill_task
from cri_shim.cri.sandbox.exit import watch_sandbox
from cri_shim.cri.sandbox.files import shares_host_ipc
from cri_shim.errors import NotFound
from cri_shim.linux.mounts import is_mountpoint, unmount
from cri_shim.observe.containerd_names import (
    SANDBOX_DELETE_NETWORK,
    SANDBOX_RUNTIME_STOP,
    TEAR_DOWN_POD,
    network_operation,
)
from cri_shim.state.overlap import settle
from cri_shim.state.sandbox import SandboxState

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.sandbox import Sandbox


async def stop_pod_sandbox(parts: Parts, request: cri.StopPodSandboxRequest) -> cri.StopPodSandboxResponse:
    """Stop a pod; one that doesn't exist is stopped. Raises what a container's end or CNI DEL reports."""
    with suppress(NotFound):
        await stop(parts, parts.sandboxes.find(request.pod_sandbox_id))
    return cri.StopPodSandboxResponse()


async def stop(parts: Parts, sandbox: Sandbox) -> None:
    """Stop `sandbox`, joining a stop of it that is under way."""
    sandbox.closing = True
    await parts.flights.join(f"stop of sandbox {sandbox.id}", None, lambda: _stop(parts, sandbox))


async def _stop(parts: Parts, sandbox: Sandbox) -> None:
    async with sandbox.lock:
        await settle([_end_processes(parts, sandbox), _end_network(parts, sandbox)])


async def _end_processes(parts: Parts, sandbox: Sandbox) -> None:
    await settle([end_container(parts, container) for container in parts.containers_of(sandbox.id)])
    if sandbox.status.state is not SandboxState.NOTREADY:
        await _end_pause(parts, sandbox)
    if not shares_host_ipc(sandbox.metadata.config):
        await to_thread.run_sync(_unmount, parts.paths.shm(sandbox.id))
    await unmount_images(parts, sandbox)


async def _end_pause(parts: Parts, sandbox: Sandbox) -> None:
    if sandbox.status.state is SandboxState.UNKNOWN:  # nobody watches it
        watch_sandbox(parts, sandbox)
    with SANDBOX_RUNTIME_STOP.success(sandbox.runtime.name):
        await kill_task(parts, sandbox.id, sandbox.id, sandbox.exited)


def _unmount(path: str) -> None:
    if is_mountpoint(path):
        unmount(path)


async def _end_network(parts: Parts, sandbox: Sandbox) -> None:
    if not sandbox.metadata.netns_path or sandbox.detached:
        return
    with network_operation(TEAR_DOWN_POD), SANDBOX_DELETE_NETWORK.success():
        await remains.remove_network(parts, sandbox.metadata)
    sandbox.network_down = sandbox.detached = True
