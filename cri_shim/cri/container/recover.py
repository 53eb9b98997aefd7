"""A container made again from its record, its checkpoint and its task.

Source: containerd `internal/cri/server/restart.go` (`loadContainer`): its table of task and stored state.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import to_thread

from cri_shim.api.containerd.types.task import task_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.cri import remains
from cri_shim.cri.container.checkpoint import DIRECTORY
from cri_shim.cri.container.exit import watch_container
from cri_shim.cri.container.log_file import log_file
from cri_shim.cri.container.oom import was_oom_killed
from cri_shim.cri.container.restore import directory_of
from cri_shim.cri.handler import stored_runtime
from cri_shim.cri.selinux import hold_again
from cri_shim.errors import CriError, DataLoss, NotFound
from cri_shim.linux.files import remove_tree
from cri_shim.oci.spec import Process, Spec, from_json
from cri_shim.state import checkpoint
from cri_shim.state.container import REASON_OOM_KILLED, REASON_UNKNOWN, UNKNOWN_EXIT_CODE, Container, ContainerStatus
from cri_shim.state.metadata import CONTAINER_EXTENSION, ContainerMetadata
from cri_shim.stdio.container_io import ContainerIo

if TYPE_CHECKING:
    from cri_shim.api.containerd.services.containers.v1.containers_pb2 import Container as ContainerRecord
    from cri_shim.cri.parts import Parts

log = structlog.get_logger(__name__)


async def recover_container(parts: Parts, record: ContainerRecord, task: task_pb2.Process | None) -> None:
    """Make the container of `record` again, and watch it if it runs. DataLoss for a record that can't be read."""
    metadata = ContainerMetadata.from_any(record.extensions[CONTAINER_EXTENSION])
    spec = from_json(record.spec.value, Spec)
    container = Container(
        metadata=metadata,
        status=await _stored_status(parts, record),
        runtime=stored_runtime(parts.settings, _handler_of(parts, metadata), record, None),
        process=spec.process or Process(),
        mount_label=spec.linux.mount_label if spec.linux else "",
        restore_from=await to_thread.run_sync(directory_of, parts, metadata.id),
    )
    try:
        if task is not None and task.status == task_pb2.PAUSED:
            task = await _thawed(parts, task)
        await _reconcile(parts, container, task)
    except (CriError, OSError) as error:
        log.error("container of unknown state", container_id=container.id, error=str(error))
        container.update_status(unknown=True)
    parts.container_names.reserve(metadata.name, metadata.id)
    hold_again(parts, metadata.id, metadata.process_label)
    parts.containers.add(container)
    await to_thread.run_sync(checkpoint.write, parts.paths.container_root(container.id), container.status)
    if container.running:
        watch_container(parts, container)
    elif container.status.finished_at:
        container.exited.set()


def _handler_of(parts: Parts, metadata: ContainerMetadata) -> str:
    sandbox = parts.sandboxes.get(metadata.sandbox_id)
    return sandbox.metadata.runtime_handler if sandbox is not None else ""


async def _stored_status(parts: Parts, record: ContainerRecord) -> ContainerStatus:
    try:
        return await to_thread.run_sync(checkpoint.read, parts.paths.container_root(record.id))
    except DataLoss as error:
        log.warning("container without a checkpoint", container_id=record.id, error=str(error))
        return ContainerStatus(
            created_at=record.created_at.ToNanoseconds(),
            exit_code=UNKNOWN_EXIT_CODE,
            reason=REASON_UNKNOWN,
            unknown=True,
        )


async def _thawed(parts: Parts, task: task_pb2.Process) -> task_pb2.Process:
    """A frozen task as it is; one that a checkpoint has frozen, which a kill cut off, runs again."""
    work = os.path.join(parts.paths.container_root(task.id), DIRECTORY)
    if not await to_thread.run_sync(os.path.isdir, work):
        return task
    log.warning("container of a cut-off checkpoint thawed", container_id=task.id)
    await parts.containerd.tasks.resume(task.id)
    await to_thread.run_sync(remove_tree, work)
    return await parts.containerd.tasks.get(task.id)


async def _reconcile(parts: Parts, container: Container, task: task_pb2.Process | None) -> None:
    """Bring the stored status and the task together: the table of `restart.go`."""
    state = container.status.state
    created, running = cri.ContainerState.CONTAINER_CREATED, cri.ContainerState.CONTAINER_RUNNING
    if task is None:
        if state == created:
            await _new_io(parts, container)
        elif state == running:
            await remains.end_lost(parts, container.id, container.runtime)
            with suppress(NotFound):  # containerd no longer tells of it, but keeps its bundle
                await parts.containerd.tasks.delete(container.id)
            _end(container, time.time_ns(), UNKNOWN_EXIT_CODE, REASON_UNKNOWN)
    elif task.status == task_pb2.RUNNING:
        await _adopt_running(parts, container, task)
    elif task.status == task_pb2.STOPPED:
        await _adopt_stopped(parts, container, task)
    elif task.status == task_pb2.CREATED:
        await remains.remove_task(parts, container.id)
        if state == created:
            await _new_io(parts, container)
        else:
            container.update_status(unknown=True)
    else:
        container.update_status(unknown=True)


async def _adopt_running(parts: Parts, container: Container, task: task_pb2.Process) -> None:
    if container.status.state == cri.ContainerState.CONTAINER_EXITED:
        container.update_status(unknown=True)
        return
    container.io = _adopted(task)
    container.io.start(log_file(parts, container))
    started = container.status.started_at or time.time_ns()
    reason = "" if container.status.unknown else container.status.reason
    container.update_status(pid=task.pid, started_at=started, unknown=False, exit_code=0, reason=reason)


async def _adopt_stopped(parts: Parts, container: Container, task: task_pb2.Process) -> None:
    """A task that ended while nobody watched: what it wrote is still in its FIFOs."""
    container.io = _adopted(task)
    container.io.start(log_file(parts, container))
    with anyio.move_on_after(1):
        await container.io.drained()
    reason = container.status.reason
    if await was_oom_killed(parts, container, task.exit_status):
        reason = REASON_OOM_KILLED
    with suppress(NotFound):
        ended = await parts.containerd.tasks.delete(container.id)
        _end(container, ended.exited_at.ToNanoseconds() or time.time_ns(), ended.exit_status, reason)
    await container.io.close()
    container.io = None


def _adopted(task: task_pb2.Process) -> ContainerIo:
    return ContainerIo.adopt(task.stdin, task.stdout, task.stderr, terminal=task.terminal)


def _end(container: Container, at: int, exit_code: int, reason: str) -> None:
    at = max(at, container.status.started_at)  # two clocks: as at an exit that is seen
    container.update_status(pid=0, finished_at=at, exit_code=exit_code, reason=reason, unknown=False)


async def _new_io(parts: Parts, container: Container) -> None:
    config = container.metadata.config
    state = parts.paths.container_state(container.id)
    container.io = await to_thread.run_sync(
        lambda: ContainerIo.create(state, container.id, stdin=config.stdin, terminal=config.tty)
    )
