"""A further process in a running container: registered, started, waited for, deleted; what every exec is made of.

Whoever gives up on it (past a timeout, cancelled) has it killed, with all that it started. One that ends by itself
leaves behind what it started on purpose. Its task, FIFOs and directory go in every case.
"""

from __future__ import annotations

import signal
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import structlog
from anyio import to_thread
from google.protobuf import any_pb2

from cri_shim.errors import CriError, InvalidArgument, NotFound, Unknown
from cri_shim.linux.process_tree import kill_tree
from cri_shim.oci import checks
from cri_shim.oci.process import exec_process
from cri_shim.oci.spec import PROCESS_TYPE_URL, to_json
from cri_shim.state.ids import new_id
from cri_shim.stdio.exec_io import ExecIo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container

    Work = Callable[[], Coroutine[Any, Any, object]]

log = structlog.get_logger(__name__)

CLEANUP_SECONDS = 20.0
KILL_SECONDS = 10.0
KILL_ROUNDS = 5


@dataclass(eq=False)
class ExecProcess:
    """One exec and its FIFOs, which are open."""

    parts: Parts
    container: Container
    id: str
    io: ExecIo
    settled: bool = False  # its end was observed, and nobody has given up on its output

    async def run(
        self,
        command: Sequence[str],
        output: Work,
        *beside: Work,
    ) -> int:
        """Start `command`; its exit code, once it has ended and `output` has read everything.

        What runs `beside` it is stopped then. Raises Unknown when a child still holds the output open after
        `drain_exec_sync_io_timeout`, and what the runtime reports.
        """
        await self._start(command)
        read = anyio.Event()

        async def reading() -> None:
            await output()
            read.set()

        outcome: int | CriError
        async with anyio.create_task_group() as tasks:
            for work in (reading, *beside):
                tasks.start_soon(work)
            try:
                outcome = (await self.parts.containerd.tasks.wait(self.container.id, self.id)).status
                await self._until(read)
            except CriError as error:  # kept, for a task group would wrap it
                outcome = error
            tasks.cancel_scope.cancel()
        if isinstance(outcome, CriError):
            raise outcome
        self.settled = True
        return outcome

    async def _start(self, command: Sequence[str]) -> None:
        tasks, io = self.parts.containerd.tasks, self.io
        process = exec_process(self.container.process, list(command), terminal=io.terminal)
        await tasks.exec(
            self.container.id,
            self.id,
            any_pb2.Any(type_url=PROCESS_TYPE_URL, value=to_json(process)),
            terminal=io.terminal,
            stdin=io.stdin,
            stdout=io.stdout,
            stderr=io.stderr,
        )
        await tasks.start(self.container.id, self.id)

    async def _until(self, read: anyio.Event) -> None:
        """Wait until all output has been read: as long as it takes a client, only so long for a child that holds it."""
        seconds = self.parts.settings.runtime.drain_exec_sync_io_timeout
        while not read.is_set():
            with anyio.move_on_after(seconds or None):
                await read.wait()
                return
            if not self.io.waits_for_client:
                self.settled = True
                raise Unknown(
                    f"the command ended, but {seconds:g} s later a child of it still holds its output open: "
                    "redirect the child's output, or raise drain_exec_sync_io_timeout"
                )

    async def close_input(self) -> None:
        """Have the process read the end of its standard input; the shim holds a write end as well as we."""
        if self.io.input is not None:
            self.io.input.close()
            with suppress(CriError):  # it has ended
                await self.parts.containerd.tasks.close_io(self.container.id, self.id)

    async def clean_up(self) -> None:
        """Delete the process, after killing it if it may still run, and remove its FIFOs; failures are logged."""
        try:
            if not self.settled:
                await self._kill()
            await self.parts.containerd.tasks.delete_process(self.container.id, self.id)
        except NotFound:
            pass
        except CriError as error:
            log.error("an exec is left", container_id=self.container.id, exec=self.id, error=str(error))
        finally:
            await self.io.close()

    async def _kill(self) -> None:
        """End it, and what it started; NotFound when there is no such process."""
        tasks = self.parts.containerd.tasks
        pid = (await tasks.get(self.container.id, self.id)).pid
        if not pid:  # it was never started
            return
        for _ in range(KILL_ROUNDS):
            pids = [process.pid for process in await tasks.list_pids(self.container.id)]
            if not await to_thread.run_sync(kill_tree, pid, pids, self.container.id):
                break
        with suppress(NotFound):  # it has ended
            await tasks.kill(self.container.id, signal.SIGKILL, self.id)
        with anyio.move_on_after(KILL_SECONDS):
            await tasks.wait(self.container.id, self.id)


@asynccontextmanager
async def new_process(
    parts: Parts, container: Container, *, stdin: bool = False, terminal: bool = False
) -> AsyncIterator[ExecProcess]:
    """A process that can be `run`; nothing of it is left afterwards."""
    state, exec_id = parts.paths.container_state(container.id), new_id()
    io = await to_thread.run_sync(lambda: ExecIo.create(state, exec_id, stdin=stdin, terminal=terminal))
    process = ExecProcess(parts, container, exec_id, io)
    try:
        io.open()
        yield process
    finally:
        with anyio.move_on_after(CLEANUP_SECONDS, shield=True):
            await process.clean_up()


def require_command(command: Sequence[str]) -> None:
    """InvalidArgument unless there is something to run, as a whole."""
    if not command:
        raise InvalidArgument("cmd is empty: give the command and its arguments")
    for index, value in enumerate(command):
        checks.no_nul(f"cmd[{index}]", value)
