"""Recovery: what containerd's store, the checkpoints and the node tell, made into sandboxes and containers again.

Everything is read before anything is decided: records, containers, tasks. A sandbox whose RunPodSandbox was cut off is
undone, as it would have undone itself; what can't be undone now is shown as NOTREADY, and the kubelet's Stop and Remove
finish the work. An object that can't be read is logged and left alone. Last come the leftovers that no record names:
directories, snapshots held by a pod's lease, mounts made in passing.

Source: containerd `internal/cri/server/restart.go`, with the plugin's gaps closed.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import to_thread

from cri_shim.api.containerd.types.task import task_pb2
from cri_shim.cri import orphans
from cri_shim.cri.container.recover import recover_container
from cri_shim.cri.sandbox.recover import recover_sandbox, recover_unrecorded
from cri_shim.errors import DeadlineExceeded, NotFound, Unavailable
from cri_shim.state.metadata import (
    KIND_CONTAINER,
    KIND_LABEL,
    KIND_SANDBOX,
    SANDBOXER,
)
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
    tasks, sandboxes = found.tasks, found.sandboxes
    await _each(
        found.records.values(),
        lambda record: recover_sandbox(parts, record, sandboxes.get(record.sandbox_id), tasks.get(record.sandbox_id)),
    )
    await _each(
        [record for record in sandboxes.values() if record.id not in found.records],
        lambda record: recover_unrecorded(parts, record, tasks.get(record.id)),
    )
    await _each(found.containers.values(), lambda record: recover_container(parts, record, tasks.get(record.id)))
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
            except Exception as error:  # noqa: BLE001  (no record, however damaged, may keep the node from starting)
                identity = getattr(record, "sandbox_id", "") or getattr(record, "id", "")
                log.error("can't be recovered, left alone", id=identity, error=str(error) or repr(error))

    async with anyio.create_task_group() as tasks:
        for record in records:
            tasks.start_soon(run, record)
