"""containerd's tasks: the running side of a container, with its exec processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import anyio

from cri_shim.api.containerd.services.tasks.v1 import tasks_pb2 as pb
from cri_shim.api.containerd.services.tasks.v1.tasks_grpc import TasksStub
from cri_shim.containerd.channel import DEADLINE_SECONDS
from cri_shim.errors import Unknown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from google.protobuf.any_pb2 import Any

    from cri_shim.api.containerd.types.descriptor_pb2 import Descriptor
    from cri_shim.api.containerd.types.metrics_pb2 import Metric
    from cri_shim.api.containerd.types.mount_pb2 import Mount
    from cri_shim.api.containerd.types.task.task_pb2 import Process, ProcessInfo
    from cri_shim.containerd.channel import Channel

# Creating a task starts a shim and runs `runc create`; on a machine busy with a whole node's start that has been seen
# to take tens of seconds.
CREATE_SECONDS = 90.0


_SHIM_GOING = "ttrpc: closed"
_SHIM_GOING_SECONDS = (0.02, 0.1, 0.4)

R = TypeVar("R")


@dataclass(frozen=True)
class Exit:
    """How a process ended: its exit status (128 + signal for one killed), and when, in ns since the epoch."""

    status: int
    at_ns: int


class Tasks:
    """The service `containerd.services.tasks.v1.Tasks`. An empty `exec_id` means the container's own process.

    Every method raises NotFound for a container without a task and for an unknown exec.
    """

    def __init__(self, channel: Channel, waits: Channel) -> None:
        self._channel = channel
        self._stub = TasksStub(channel.grpc)
        self._waits = waits
        self._waiting = TasksStub(waits.grpc)

    async def create(
        self,
        container_id: str,
        *,
        rootfs: Iterable[Mount],
        stdin: str = "",
        stdout: str = "",
        stderr: str = "",
        terminal: bool = False,
        options: Any | None = None,
        runtime_path: str = "",
        checkpoint: Descriptor | None = None,
        timeout: float | None = CREATE_SECONDS,
    ) -> int:
        """Start the shim and create, but not start, the container's process; its pid."""
        request = pb.CreateTaskRequest(
            container_id=container_id,
            rootfs=rootfs,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            terminal=terminal,
            options=options,
            runtime_path=runtime_path,
            checkpoint=checkpoint,
        )
        return (await self._channel.call(self._stub.Create, request, timeout=timeout)).pid

    async def start(self, container_id: str, exec_id: str = "", *, timeout: float | None = CREATE_SECONDS) -> int:
        """Start a created process; its pid. FailedPrecondition when it was started before."""
        request = pb.StartRequest(container_id=container_id, exec_id=exec_id)
        return (await self._channel.call(self._stub.Start, request, timeout=timeout)).pid

    async def get(self, container_id: str, exec_id: str = "", *, timeout: float | None = DEADLINE_SECONDS) -> Process:
        """The state of a process, as the shim tells it."""
        request = pb.GetRequest(container_id=container_id, exec_id=exec_id)
        reply = await self._of_shim(lambda: self._channel.read(self._stub.Get, request, timeout=timeout))
        return reply.process

    async def kill(
        self,
        container_id: str,
        signal: int,
        exec_id: str = "",
        *,
        all: bool = False,  # noqa: A002  (the message's name)
        timeout: float | None = DEADLINE_SECONDS,
    ) -> None:
        """Send `signal` to a process, or to `all` of the container's. NotFound when it has ended already."""
        request = pb.KillRequest(container_id=container_id, exec_id=exec_id, signal=signal, all=all)
        await self._of_shim(lambda: self._channel.call(self._stub.Kill, request, timeout=timeout))

    async def delete(self, container_id: str) -> pb.DeleteResponse:
        """Remove an ended task and its shim; how it ended. FailedPrecondition while it runs."""
        request = pb.DeleteTaskRequest(container_id=container_id)
        return await self._of_shim(lambda: self._channel.call(self._stub.Delete, request))

    async def delete_process(self, container_id: str, exec_id: str) -> pb.DeleteResponse:
        """Remove an ended exec; how it ended. FailedPrecondition while it runs."""
        request = pb.DeleteProcessRequest(container_id=container_id, exec_id=exec_id)
        return await self._of_shim(lambda: self._channel.call(self._stub.DeleteProcess, request))

    async def exec(
        self,
        container_id: str,
        exec_id: str,
        spec: Any,
        *,
        terminal: bool = False,
        stdin: str = "",
        stdout: str = "",
        stderr: str = "",
    ) -> None:
        """Register a further process of the container, by its OCI process in `spec`; `start` then runs it."""
        request = pb.ExecProcessRequest(
            container_id=container_id,
            exec_id=exec_id,
            spec=spec,
            terminal=terminal,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )
        await self._channel.call(self._stub.Exec, request)

    async def wait(self, container_id: str, exec_id: str = "") -> Exit:
        """How the process ended, once it has; without a deadline, and beyond a restart of containerd."""
        request = pb.WaitRequest(container_id=container_id, exec_id=exec_id)
        reply = await self._of_shim(lambda: self._waits.read(self._waiting.Wait, request, timeout=None))
        return Exit(reply.exit_status, reply.exited_at.ToNanoseconds())

    async def _of_shim(self, call: Callable[[], Awaitable[R]]) -> R:
        """A call that containerd passes on to a shim, made again when the shim was just going: then it is NotFound.

        A container that ends takes its connection with it, and containerd's word for that has no class of its own.
        """
        for pause in _SHIM_GOING_SECONDS:
            try:
                return await call()
            except Unknown as error:
                if not str(error).endswith(_SHIM_GOING):
                    raise
                await anyio.sleep(pause)
        return await call()

    async def resize_pty(self, container_id: str, exec_id: str = "", *, width: int, height: int) -> None:
        """Tell a process with a terminal how many columns and rows that has."""
        request = pb.ResizePtyRequest(container_id=container_id, exec_id=exec_id, width=width, height=height)
        await self._channel.call(self._stub.ResizePty, request)

    async def close_io(self, container_id: str, exec_id: str = "") -> None:
        """Close a process's standard input once what is in its FIFO has been read."""
        await self._channel.call(
            self._stub.CloseIO, pb.CloseIORequest(container_id=container_id, exec_id=exec_id, stdin=True)
        )

    async def update(self, container_id: str, resources: Any, annotations: Mapping[str, str] | None = None) -> None:
        """Apply OCI `resources` to a live container."""
        request = pb.UpdateTaskRequest(container_id=container_id, resources=resources, annotations=annotations)
        await self._channel.call(self._stub.Update, request)

    async def metrics(self, *filters: str, timeout: float | None = DEADLINE_SECONDS) -> list[Metric]:
        """The cgroup metrics of the tasks that match any filter (`id==...`); of all without one."""
        request = pb.MetricsRequest(filters=filters)
        return list((await self._channel.read(self._stub.Metrics, request, timeout=timeout)).metrics)

    async def list_pids(self, container_id: str) -> list[ProcessInfo]:
        """The pids in the container's cgroup."""
        request = pb.ListPidsRequest(container_id=container_id)
        return list((await self._channel.read(self._stub.ListPids, request)).processes)

    async def pause(self, container_id: str) -> None:
        """Freeze the container's cgroup."""
        await self._channel.call(self._stub.Pause, pb.PauseTaskRequest(container_id=container_id))

    async def resume(self, container_id: str) -> None:
        """Thaw what `pause` froze."""
        await self._channel.call(self._stub.Resume, pb.ResumeTaskRequest(container_id=container_id))

    async def checkpoint(
        self, container_id: str, options: Any | None = None, *, timeout: float | None = None
    ) -> list[Descriptor]:
        """Dump the container's state with CRIU; what was written to the content store, if `options` name no path."""
        request = pb.CheckpointTaskRequest(container_id=container_id, options=options)
        return list((await self._channel.call(self._stub.Checkpoint, request, timeout=timeout)).descriptors)

    async def list(self, *, timeout: float | None = DEADLINE_SECONDS) -> list[Process]:
        """The state of every task; a shim that doesn't answer is left out by containerd."""
        return list((await self._channel.read(self._stub.List, pb.ListTasksRequest(), timeout=timeout)).tasks)
