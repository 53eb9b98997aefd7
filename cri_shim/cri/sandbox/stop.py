"""StopPodSandbox: the pod's processes end and its network goes, at the same time.

Idempotent: what is gone is gone, and a step that fails (CNI out of reach) is done again by the next call.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from cri_shim.api.runtime import v1 as cri
from cri_shim.cni import attachment
from cri_shim.cri.container.stop import end_container
from cri_shim.cri.sandbox.exit import handle_sandbox_exit
from cri_shim.cri.sandbox.files import shares_host_ipc
from cri_shim.errors import DeadlineExceeded, NotFound
from cri_shim.linux import netns
from cri_shim.linux.mounts import is_mountpoint, unmount
from cri_shim.state.overlap import settle
from cri_shim.state.sandbox import SandboxState

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.sandbox import Sandbox

KILL_SECONDS = 60.0  # from SIGKILL to an observed exit; past it the shim is stuck


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


async def _end_pause(parts: Parts, sandbox: Sandbox) -> None:
    with suppress(NotFound):
        await parts.containerd.tasks.kill(sandbox.id, signal.SIGKILL)
    if sandbox.status.state is SandboxState.UNKNOWN:  # nobody watches it
        await handle_sandbox_exit(parts, sandbox, await parts.exits.wait(sandbox.id))
    with anyio.move_on_after(KILL_SECONDS):
        await sandbox.exited.wait()
        return
    raise DeadlineExceeded(
        f"sandbox {sandbox.id} ({sandbox.metadata.name}) did not end within {KILL_SECONDS:.0f} s of SIGKILL: "
        "its shim or a process in it is stuck (see its state with `ps`); the next stop tries again"
    )


def _unmount(path: str) -> None:
    if is_mountpoint(path):
        unmount(path)


async def _end_network(parts: Parts, sandbox: Sandbox) -> None:
    """CNI DEL, then the namespace. Without a stored result the network never came to be: errors are tolerated."""
    path = sandbox.metadata.netns_path
    if not path or sandbox.detached:
        return
    alive = await to_thread.run_sync(netns.is_netns, path)
    network = parts.network(sandbox.metadata.runtime_handler)
    await network.delete(
        attachment(sandbox.metadata.config, sandbox.id, path if alive else ""),
        result_known=sandbox.metadata.cni_result is not None,
    )
    await netns.remove(path)
    sandbox.network_down = sandbox.detached = True
