"""Recovery: what containerd's store, the checkpoints and the node tell, made into sandboxes and containers again.

Everything is read before anything is decided: records, containers, tasks. A sandbox whose RunPodSandbox was cut off is
undone, as it would have undone itself; what can't be undone now is shown as NOTREADY, and the kubelet's Stop and Remove
finish the work. An object that can't be read is logged and left alone. Last come the leftovers that no record names:
directories, snapshots held by a pod's lease, mounts made in passing.

Source: containerd `internal/cri/server/restart.go`, with the plugin's gaps closed.
"""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import to_thread

from cri_shim.api.containerd.types.task import task_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.cni import attachment
from cri_shim.cri import orphans
from cri_shim.cri.container.exit import watch_container
from cri_shim.cri.container.log_file import log_file
from cri_shim.cri.sandbox import remains
from cri_shim.cri.sandbox.exit import watch_sandbox
from cri_shim.errors import CriError, DataLoss, DeadlineExceeded, NotFound, Unavailable
from cri_shim.linux import netns
from cri_shim.linux.shims import kill_shims
from cri_shim.oci.spec import Process, Spec, from_json
from cri_shim.state import checkpoint
from cri_shim.state.container import REASON_UNKNOWN, UNKNOWN_EXIT_CODE, Container, ContainerStatus
from cri_shim.state.metadata import (
    CONTAINER_EXTENSION,
    CREATING_LABEL,
    KIND_CONTAINER,
    KIND_LABEL,
    KIND_SANDBOX,
    SANDBOX_EXTENSION,
    STORE_EXTENSION,
    ContainerMetadata,
    SandboxMetadata,
)
from cri_shim.state.sandbox import RuntimeChoice, Sandbox, SandboxState, SandboxStatus
from cri_shim.stdio.container_io import ContainerIo
from cri_shim.stdio.fifos import open_all_outputs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from cri_shim.api.containerd.services.containers.v1.containers_pb2 import Container as ContainerRecord
    from cri_shim.api.containerd.types.sandbox_pb2 import Sandbox as SandboxRecord
    from cri_shim.cri.parts import Parts

log = structlog.get_logger(__name__)

OBJECT_SECONDS = 30.0  # for one object; a shim that doesn't answer must not hold up the node
AT_ONCE = 32
ANSWER_SECONDS = 10.0  # for a shim that is busy; containerd itself gives it two
_ANSWER_PAUSE = 0.1
SANDBOXER = "podsandbox"


@dataclass(frozen=True)
class _Found:
    """What containerd holds, read once."""

    records: dict[str, SandboxRecord]
    sandboxes: dict[str, ContainerRecord]
    containers: dict[str, ContainerRecord]
    tasks: dict[str, task_pb2.Process]


async def recover(parts: Parts) -> None:
    """Fill the stores from what there is, watch what runs, and clear what was left half-way."""
    async with _readers(parts):
        await _recover(parts)


@asynccontextmanager
async def _readers(parts: Parts) -> AsyncIterator[None]:
    """Hold the containers' FIFOs open for reading.

    A shim that was creating a task or an exec when we were killed waits for a reader, and while it waits it answers
    nothing, not even about the pod's other tasks.
    """
    fds = await to_thread.run_sync(open_all_outputs, os.path.join(parts.paths.state, "containers"))
    try:
        yield
    finally:
        for fd in fds:
            os.close(fd)


async def _recover(parts: Parts) -> None:
    found = await _read(parts)
    await _each(found.records.values(), lambda record: _recover_record(parts, record, found))
    pauses = [record for record in found.sandboxes.values() if parts.sandboxes.get(record.id) is None]
    await _each(pauses, lambda record: _recover_unrecorded(parts, record, found))
    await _each(found.containers.values(), lambda record: _recover_container(parts, record, found))
    await orphans.sweep(parts, keep=set(found.sandboxes) | set(found.containers) | set(found.records))
    log.info("recovered", sandboxes=len(parts.sandboxes), containers=len(parts.containers))


async def _read(parts: Parts) -> _Found:
    containerd = parts.containerd
    records = await containerd.sandboxes.list()
    containers = await containerd.containers.list(
        f'labels."{KIND_LABEL}"=={KIND_SANDBOX}', f'labels."{KIND_LABEL}"=={KIND_CONTAINER}'
    )
    tasks = await _answered(parts, await containerd.tasks.list())
    return _Found(
        records={record.sandbox_id: record for record in records if record.sandboxer in ("", SANDBOXER)},
        sandboxes={record.id: record for record in containers if record.labels[KIND_LABEL] == KIND_SANDBOX},
        containers={record.id: record for record in containers if record.labels[KIND_LABEL] == KIND_CONTAINER},
        tasks={process.id: process for process in tasks},
    )


async def _answered(parts: Parts, listed: list[task_pb2.Process]) -> list[task_pb2.Process]:
    """The tasks, those whose shim doesn't answer asked for again until it does, or for long enough."""
    found = {process.id: process for process in listed}

    async def ask(task_id: str) -> None:
        while found[task_id].status == task_pb2.UNKNOWN:
            await anyio.sleep(_ANSWER_PAUSE)
            with suppress(Unavailable, DeadlineExceeded):
                found[task_id] = await parts.containerd.tasks.get(task_id, timeout=ANSWER_SECONDS)

    async def ask_until_gone(task_id: str) -> None:
        try:
            await ask(task_id)
        except NotFound:
            del found[task_id]

    with anyio.move_on_after(ANSWER_SECONDS):
        async with anyio.create_task_group() as group:
            for process in listed:
                group.start_soon(ask_until_gone, process.id)
    return list(found.values())


async def _each(records: Iterable[object], recover_one: Callable[..., Awaitable[None]]) -> None:
    """Recover each, some at once, each on its own clock; one that fails is logged and left out."""
    limit = anyio.CapacityLimiter(AT_ONCE)

    async def run(record: object) -> None:
        async with limit:
            try:
                with anyio.fail_after(OBJECT_SECONDS):
                    await recover_one(record)
            except (CriError, OSError, TimeoutError) as error:
                identity = getattr(record, "sandbox_id", "") or getattr(record, "id", "")
                log.error("can't be recovered, left alone", id=identity, error=str(error) or repr(error))

    async with anyio.create_task_group() as tasks:
        for record in records:
            tasks.start_soon(run, record)


async def _recover_record(parts: Parts, record: SandboxRecord, found: _Found) -> None:
    if STORE_EXTENSION not in record.extensions:
        log.warning("sandbox record without metadata left alone", id=record.sandbox_id)
        return
    metadata = SandboxMetadata.from_any(record.extensions[STORE_EXTENSION])
    container = found.sandboxes.get(record.sandbox_id)
    if CREATING_LABEL in record.labels:
        await _undo_creation(parts, metadata, _runtime(parts, metadata.runtime_handler, container, record))
        found.sandboxes.pop(record.sandbox_id, None)
        return
    if container is not None and SANDBOX_EXTENSION in container.extensions:  # the newer of the two
        metadata = SandboxMetadata.from_any(container.extensions[SANDBOX_EXTENSION])
    created = (container or record).created_at.ToNanoseconds()
    await _add_sandbox(parts, metadata, _runtime(parts, metadata.runtime_handler, container, record), created, found)


async def _recover_unrecorded(parts: Parts, container: ContainerRecord, found: _Found) -> None:
    """A pause container without a sandbox record: of containerd 1.x."""
    metadata = SandboxMetadata.from_any(container.extensions[SANDBOX_EXTENSION])
    runtime = _runtime(parts, metadata.runtime_handler, container, None)
    await _add_sandbox(parts, metadata, runtime, container.created_at.ToNanoseconds(), found)


def _runtime(
    parts: Parts, handler: str, container: ContainerRecord | None, record: SandboxRecord | None
) -> RuntimeChoice:
    """How the object was run, as stored; what isn't stored comes from its handler's settings."""
    settings = parts.settings.runtime.containerd
    configured = settings.runtimes.get(handler or settings.default_runtime_name)
    stored = container.runtime if container is not None else record.runtime if record is not None else None
    default = (configured.snapshotter if configured else "") or parts.settings.images.snapshotter
    return RuntimeChoice(
        name=stored.name if stored else "",
        options=stored.options if stored and stored.HasField("options") else None,
        path=configured.runtime_path if configured else "",
        snapshotter=container.snapshotter if container is not None else default,
    )


async def _add_sandbox(
    parts: Parts, metadata: SandboxMetadata, runtime: RuntimeChoice, created_at: int, found: _Found
) -> None:
    task = found.tasks.get(metadata.id)
    running = task is not None and task.status == task_pb2.RUNNING
    state = SandboxState.READY if running else SandboxState.NOTREADY
    if task is not None and task.status == task_pb2.UNKNOWN:
        log.error("the pod's shim does not answer: shown as not ready, left running", sandbox=metadata.id)
        state = SandboxState.UNKNOWN
    elif task is not None and not running:
        await remains.remove_task(parts, metadata.id)
    status = SandboxStatus(state=state, created_at=created_at, pid=task.pid if task is not None and running else 0)
    sandbox = Sandbox(metadata=metadata, status=status, runtime=runtime)
    if metadata.netns_path:
        sandbox.network_down = not await to_thread.run_sync(netns.is_netns, metadata.netns_path)
    parts.sandbox_names.reserve(metadata.name, metadata.id)
    parts.sandboxes.add(sandbox)
    if running:
        watch_sandbox(parts, sandbox)
    elif state is SandboxState.NOTREADY:
        sandbox.exited.set()


async def _undo_creation(parts: Parts, metadata: SandboxMetadata, runtime: RuntimeChoice) -> None:
    """Undo a RunPodSandbox that was cut off, in the order in which it would have undone itself."""
    log.info("undoing a sandbox whose creation was cut off", sandbox=metadata.id, pod=metadata.name)
    try:
        await remains.remove_task(parts, metadata.id)
        await to_thread.run_sync(kill_shims, parts.settings.containerd.address, parts.containerd.namespace, metadata.id)
        await remains.remove_container(parts, metadata.id)
        await remains.remove_snapshot(parts, runtime.snapshotter, metadata.id)
        if metadata.netns_path:
            alive = await to_thread.run_sync(netns.is_netns, metadata.netns_path)
            attach = attachment(metadata.config, metadata.id, metadata.netns_path if alive else "")
            await parts.network(metadata.runtime_handler).delete(attach, result_known=False)
            await netns.remove(metadata.netns_path)
        await remains.remove_files(parts, metadata.id)
        await remains.remove_lease(parts, metadata.id)
        await remains.remove_record(parts, metadata.id)
    except (CriError, OSError) as error:
        log.error("not undone, shown as not ready", sandbox=metadata.id, error=str(error))
        with suppress(CriError):
            parts.sandbox_names.reserve(metadata.name, metadata.id)
        status = SandboxStatus(state=SandboxState.UNKNOWN, created_at=time.time_ns())
        parts.sandboxes.add(Sandbox(metadata=metadata, status=status, runtime=runtime))


async def _recover_container(parts: Parts, record: ContainerRecord, found: _Found) -> None:
    metadata = ContainerMetadata.from_any(record.extensions[CONTAINER_EXTENSION])
    container = Container(
        metadata=metadata,
        status=await _stored_status(parts, record),
        runtime=_runtime(parts, _handler_of(parts, metadata), record, None),
        process=_process(record),
    )
    try:
        await _reconcile(parts, container, found.tasks.get(container.id))
    except (CriError, OSError) as error:
        log.error("container of unknown state", container=container.id, error=str(error))
        container.update_status(unknown=True)
    parts.container_names.reserve(metadata.name, metadata.id)
    parts.containers.add(container)
    await to_thread.run_sync(checkpoint.write, parts.paths.container_root(container.id), container.status)
    if container.running:
        watch_container(parts, container)
    elif container.status.finished_at:
        container.exited.set()


def _handler_of(parts: Parts, metadata: ContainerMetadata) -> str:
    sandbox = parts.sandboxes.get(metadata.sandbox_id)
    return sandbox.metadata.runtime_handler if sandbox is not None else ""


def _process(record: ContainerRecord) -> Process:
    return from_json(record.spec.value, Spec).process or Process()


async def _stored_status(parts: Parts, record: ContainerRecord) -> ContainerStatus:
    try:
        return await to_thread.run_sync(checkpoint.read, parts.paths.container_root(record.id))
    except DataLoss as error:
        log.warning("container without a checkpoint", container=record.id, error=str(error))
        return ContainerStatus(
            created_at=record.created_at.ToNanoseconds(),
            exit_code=UNKNOWN_EXIT_CODE,
            reason=REASON_UNKNOWN,
            unknown=True,
        )


async def _reconcile(parts: Parts, container: Container, task: task_pb2.Process | None) -> None:
    """Bring the stored status and the task together: the table of `restart.go`."""
    state = container.status.state
    created, running = cri.ContainerState.CONTAINER_CREATED, cri.ContainerState.CONTAINER_RUNNING
    if task is None:
        if state == created:
            await _new_io(parts, container)
        elif state == running:
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
    with suppress(NotFound):
        ended = await parts.containerd.tasks.delete(container.id)
        _end(container, ended.exited_at.ToNanoseconds() or time.time_ns(), ended.exit_status, container.status.reason)
    await container.io.close()
    container.io = None


def _adopted(task: task_pb2.Process) -> ContainerIo:
    return ContainerIo.adopt(task.stdin, task.stdout, task.stderr, terminal=task.terminal)


def _end(container: Container, at: int, exit_code: int, reason: str) -> None:
    container.update_status(pid=0, finished_at=at, exit_code=exit_code, reason=reason, unknown=False)


async def _new_io(parts: Parts, container: Container) -> None:
    config = container.metadata.config
    state = parts.paths.container_state(container.id)
    container.io = await to_thread.run_sync(
        lambda: ContainerIo.create(state, container.id, stdin=config.stdin, terminal=config.tty)
    )
