"""StartContainer: the task is created and started; reading its output begins before it can write any.

A start can't be tried again: one that fails leaves the container exited with code 128 and the reason StartError, and
the kubelet makes a new attempt.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import to_thread

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri import remains
from cri_shim.cri.container.checkpointed import checkpointed
from cri_shim.cri.container.exit import watch_container
from cri_shim.cri.container.log_file import log_file
from cri_shim.cri.container.restore import reasons, restore_options
from cri_shim.cri.container.spec import target_pid
from cri_shim.cri.events import STARTED, STOPPED, container_event
from cri_shim.cri.selinux import with_context
from cri_shim.cri.user_namespace import own_users, task_options
from cri_shim.errors import AlreadyExists, CriError, Unknown
from cri_shim.linux.files import remove_tree
from cri_shim.observe.containerd_names import CONTAINER_START
from cri_shim.observe.timeline import Timeline, step
from cri_shim.state.container import REASON_START_ERROR, START_ERROR_EXIT_CODE
from cri_shim.state.undo import CLEANUP_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf import any_pb2

    from cri_shim.api.containerd.types import mount_pb2
    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container
    from cri_shim.stdio.container_io import ContainerIo

LOG_SECONDS = 2.0

log = structlog.get_logger(__name__)


async def start_container(parts: Parts, request: cri.StartContainerRequest) -> cri.StartContainerResponse:
    """Start a created container.

    Raises NotFound when there is none, Unknown (as containerd's plugin) when it is in another state than created, and
    what the runtime reports, for instance that the command does not exist.
    """
    container = parts.containers.find(request.container_id)
    with CONTAINER_START.success(container.runtime.name):
        await parts.flights.join(f"start of container {container.id}", None, lambda: _start(parts, container))
    return cri.StartContainerResponse()


async def _start(parts: Parts, container: Container) -> None:
    async with container.lock:
        _require_startable(container)
        timeline = container.timeline or Timeline("StartContainer")
        try:
            _require_neighbours(parts, container)
            with timeline.recording():
                await _start_task(parts, container)
        except BaseException as error:
            with anyio.move_on_after(CLEANUP_SECONDS, shield=True):
                await _record_failure(parts, container, error)
            raise


def _require_startable(container: Container) -> None:
    state = container.status.state
    if state != cri.ContainerState.CONTAINER_CREATED:
        raise Unknown(f"container {container.id} is in {state.name} state: only a created container can be started")
    if container.removing:
        raise Unknown(f"container {container.id} is being removed")


def _require_neighbours(parts: Parts, container: Container) -> None:
    """What the spec names by pid must still be there: those pids may be other processes' by now."""
    sandbox = parts.sandboxes.find(container.metadata.sandbox_id)
    sandbox.require_ready()
    target_pid(parts, sandbox, container.metadata.config)


async def _start_task(parts: Parts, container: Container) -> None:
    tasks, io = parts.containerd.tasks, container.io
    if io is None:
        raise Unknown(f"container {container.id} has no FIFOs: remove it and create it anew")
    with step("mounts"):
        made = await parts.containerd.snapshots.mounts(container.runtime.snapshotter, container.id)
        mounts = with_context(made, container.mount_label)
    io.start(log_file(parts, container))
    options = _options(container)
    with step("task create (runtime)"):
        try:
            await _create_task(parts, container, io, mounts, options)
        except AlreadyExists:  # of a start that was cut off with the server before us
            await remains.remove_task(parts, container.id)
            await _create_task(parts, container, io, mounts, options)
    if container.restore_from:
        pid = await _restore(parts, container)
    else:
        with step("task start"):
            pid = await tasks.start(container.id)
    with step("checkpoint"):
        await checkpointed(parts, container, pid=pid, started_at=time.time_ns())
    with anyio.move_on_after(LOG_SECONDS):  # a log's slow disk must not fail a start
        await io.opened()
    container_event(parts, container, STARTED)
    watch_container(parts, container)  # last, with nothing to wait for behind it: who fails ends the task and tells so


def _options(container: Container) -> any_pb2.Any | None:
    if container.restore_from:
        return restore_options(container.runtime, container.restore_from)
    return task_options(container.runtime, own_users(container.metadata.config.linux), container.process.user)


async def _restore(parts: Parts, container: Container) -> int:
    """Have the runtime restore the container's processes; the pid of its first. The checkpoint is then done with."""
    directory = container.restore_from
    with step("task restore"):
        try:
            pid = await parts.containerd.tasks.start(container.id)
        except CriError as error:
            why = await to_thread.run_sync(reasons, directory)
            raise error.because(f"CRIU did not restore the container ({why})" if why else "restore") from error
    container.restore_from = ""
    await to_thread.run_sync(remove_tree, directory)
    return pid


async def _create_task(
    parts: Parts,
    container: Container,
    io: ContainerIo,
    mounts: Sequence[mount_pb2.Mount],
    options: any_pb2.Any | None,
) -> None:
    try:
        await parts.containerd.tasks.create(
            container.id,
            rootfs=mounts,
            stdin=io.stdin,
            stdout=io.stdout,
            stderr=io.stderr,
            terminal=io.terminal,
            options=options,
            runtime_path=container.runtime.path,
        )
    except CriError as error:
        raise error.because("failed to create containerd task") from error


async def _record_failure(parts: Parts, container: Container, error: BaseException) -> None:
    try:
        await remains.remove_task(parts, container.id)
        if container.io is not None:
            await container.io.close()
            container.io = None
    finally:
        await checkpointed(
            parts,
            container,
            pid=0,
            finished_at=time.time_ns(),
            exit_code=START_ERROR_EXIT_CODE,
            reason=REASON_START_ERROR,
            message=_told(error),
        )
        container.exited.set()
        container_event(parts, container, STOPPED)
        log.info("container did not start", container_id=container.id, name=container.metadata.name, error=str(error))


def _told(error: BaseException) -> str:
    if isinstance(error, anyio.get_cancelled_exc_class()):
        return "the start was given up by its caller"
    return str(error) or repr(error)
