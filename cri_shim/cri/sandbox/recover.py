"""A sandbox made again from its records and its task, or undone if its creation was cut off.

Source: containerd `internal/cri/server/restart.go`, `podsandbox/recover.go`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from anyio import to_thread

from cri_shim.api.containerd.types.task import task_pb2
from cri_shim.cri import remains
from cri_shim.cri.handler import stored_runtime
from cri_shim.cri.sandbox.exit import watch_sandbox
from cri_shim.cri.selinux import hold_again
from cri_shim.errors import CriError
from cri_shim.linux import netns
from cri_shim.state.metadata import (
    CREATING_LABEL,
    RESOURCES_EXTENSION,
    SANDBOX_EXTENSION,
    STORE_EXTENSION,
    SandboxMetadata,
    UpdatedResources,
)
from cri_shim.state.sandbox import RuntimeChoice, Sandbox, SandboxState, SandboxStatus

if TYPE_CHECKING:
    from cri_shim.api.containerd.services.containers.v1.containers_pb2 import Container as ContainerRecord
    from cri_shim.api.containerd.types.sandbox_pb2 import Sandbox as SandboxRecord
    from cri_shim.cri.parts import Parts

log = structlog.get_logger(__name__)


async def recover_sandbox(
    parts: Parts, record: SandboxRecord, container: ContainerRecord | None, task: task_pb2.Process | None
) -> None:
    """Make the sandbox of `record` again, and watch it if it runs; one whose creation was cut off is undone.

    Raises DataLoss for a record that can't be read.
    """
    if STORE_EXTENSION not in record.extensions:
        log.warning("sandbox record without metadata left alone", id=record.sandbox_id)
        return
    metadata = SandboxMetadata.from_any(record.extensions[STORE_EXTENSION])
    runtime = stored_runtime(parts.settings, metadata.runtime_handler, container, record)
    if CREATING_LABEL in record.labels:
        await _undo_creation(parts, metadata, runtime)
        return
    if container is not None and SANDBOX_EXTENSION in container.extensions:  # the newer of the two
        metadata = SandboxMetadata.from_any(container.extensions[SANDBOX_EXTENSION])
    created = (container or record).created_at.ToNanoseconds()
    await _add_sandbox(parts, metadata, runtime, created, task)
    if RESOURCES_EXTENSION in record.extensions:
        updated = UpdatedResources.from_any(record.extensions[RESOURCES_EXTENSION])
        parts.sandboxes.find(metadata.id).update_status(updated=updated)


async def recover_unrecorded(parts: Parts, container: ContainerRecord, task: task_pb2.Process | None) -> None:
    """Make the sandbox of a pause container without a sandbox record again: containerd 1.x made such."""
    metadata = SandboxMetadata.from_any(container.extensions[SANDBOX_EXTENSION])
    runtime = stored_runtime(parts.settings, metadata.runtime_handler, container, None)
    await _add_sandbox(parts, metadata, runtime, container.created_at.ToNanoseconds(), task)


async def _add_sandbox(
    parts: Parts, metadata: SandboxMetadata, runtime: RuntimeChoice, created_at: int, task: task_pb2.Process | None
) -> None:
    running = task is not None and task.status == task_pb2.RUNNING
    state = SandboxState.READY if running else SandboxState.NOTREADY
    if task is not None and task.status == task_pb2.UNKNOWN:
        log.error("the pod's shim does not answer: shown as not ready, left running", pod_sandbox_id=metadata.id)
        state = SandboxState.UNKNOWN
    elif task is None:  # a deletion that was cut off may have forgotten the task, but not ended its shim
        await remains.end_shims(parts, metadata.id)
    status = SandboxStatus(state=state, created_at=created_at, pid=task.pid if task is not None and running else 0)
    sandbox = Sandbox(metadata=metadata, status=status, runtime=runtime)
    if metadata.netns_path:
        sandbox.network_down = not await to_thread.run_sync(netns.is_netns, metadata.netns_path)
    parts.sandbox_names.reserve(metadata.name, metadata.id)
    hold_again(parts, metadata.id, metadata.process_label)
    parts.sandboxes.add(sandbox)
    if running:
        watch_sandbox(parts, sandbox)
    elif task is None:  # else it goes with the pod, after the tasks of the pod's containers
        sandbox.exited.set()


async def _undo_creation(parts: Parts, metadata: SandboxMetadata, runtime: RuntimeChoice) -> None:
    """Undo a RunPodSandbox that was cut off, in the order in which it would have undone itself."""
    log.info("undoing a sandbox whose creation was cut off", pod_sandbox_id=metadata.id, name=metadata.name)
    try:
        await remains.remove_task(parts, metadata.id)
        await remains.end_shims(parts, metadata.id)
        await remains.remove_container(parts, metadata.id)
        await remains.remove_snapshot(parts, runtime.snapshotter, metadata.id)
        await remains.remove_network(parts, metadata)
        await remains.remove_sandbox_files(parts, metadata.id)
        await remains.remove_lease(parts, metadata.id)
        await remains.remove_record(parts, metadata.id)
    except (CriError, OSError) as error:
        log.error("not undone, shown as not ready", pod_sandbox_id=metadata.id, error=str(error))
        with suppress(CriError):
            parts.sandbox_names.reserve(metadata.name, metadata.id)
        status = SandboxStatus(state=SandboxState.UNKNOWN, created_at=time.time_ns())
        parts.sandboxes.add(Sandbox(metadata=metadata, status=status, runtime=runtime))
