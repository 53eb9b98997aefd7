"""ExecSync: one more process in a running container, its output and exit code; what probes are made of.

The process is a copy of the container's with other arguments. Past the timeout it is killed, with everything that it
started, and the answer is DeadlineExceeded. Its FIFOs, directory and task go with the call, however that ends.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread
from google.protobuf import any_pb2

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import CriError, DeadlineExceeded, InvalidArgument, NotFound, Unknown
from cri_shim.oci.process import exec_process
from cri_shim.oci.spec import PROCESS_TYPE_URL, to_json
from cri_shim.state.ids import new_id
from cri_shim.stdio.exec_io import ExecIo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container

OUTPUT_LIMIT = 16 << 20  # bytes of each stream that are kept
CLEANUP_SECONDS = 10.0
KILL_SECONDS = 10.0


async def exec_sync(parts: Parts, request: cri.ExecSyncRequest) -> cri.ExecSyncResponse:
    """Run a command in a container and answer its exit code and output.

    Raises NotFound for no container, Unknown for one that does not run, InvalidArgument for no command,
    DeadlineExceeded past `timeout` seconds (0: none), and what the runtime reports.
    """
    container = parts.containers.find(request.container_id)
    if not container.running:
        state = container.status.state.name
        raise Unknown(f"container {container.id} is in {state} state: commands run in running containers only")
    if not request.cmd:
        raise InvalidArgument("cmd is empty: give the command and its arguments")
    io = await to_thread.run_sync(
        ExecIo.create, parts.paths.container_state(container.id), exec_id := new_id(), OUTPUT_LIMIT
    )
    return await _Exec(parts, container, exec_id, io).run(request.cmd, request.timeout)


@dataclass(eq=False)
class _Exec:
    """One exec under way."""

    parts: Parts
    container: Container
    id: str
    io: ExecIo

    async def run(self, command: Sequence[str], timeout: int) -> cri.ExecSyncResponse:
        try:
            with anyio.move_on_after(timeout if timeout > 0 else None) as scope:
                return await self._run(command)
        finally:
            with anyio.move_on_after(CLEANUP_SECONDS, shield=True):
                await self._clean_up()
        assert scope.cancelled_caught  # noqa: S101  (the body returns unless the scope ended it)
        raise DeadlineExceeded(
            f"command {list(command)!r:.200} timed out: timeout {timeout}s exceeded; it has been killed"
        )

    async def _run(self, command: Sequence[str]) -> cri.ExecSyncResponse:
        tasks, io = self.parts.containerd.tasks, self.io
        process = exec_process(self.container.process, list(command), terminal=False)
        io.start()
        await tasks.exec(
            self.container.id,
            self.id,
            any_pb2.Any(type_url=PROCESS_TYPE_URL, value=to_json(process)),
            terminal=False,
            stdin="",
            stdout=io.stdout,
            stderr=io.stderr,
        )
        await tasks.start(self.container.id, self.id)
        exited = await tasks.wait(self.container.id, self.id)
        stdout, stderr = await self._output()
        return cri.ExecSyncResponse(stdout=stdout, stderr=stderr, exit_code=exited.status)

    async def _output(self) -> tuple[bytes, bytes]:
        """Both outputs, once nobody can write to them any more; bounded, for a child may hold them for ever."""
        seconds = self.parts.settings.runtime.drain_exec_sync_io_timeout
        with anyio.move_on_after(seconds or None):
            return await self.io.collect()
        raise Unknown(
            f"the command ended, but {seconds:g} s later a child of it still holds its output open: "
            "redirect the child's output, or raise drain_exec_sync_io_timeout"
        )

    async def _clean_up(self) -> None:
        """Delete the process, after killing it if it still runs, and remove its FIFOs."""
        tasks = self.parts.containerd.tasks
        try:
            with suppress(NotFound):
                try:
                    await tasks.delete_process(self.container.id, self.id)
                except NotFound:
                    raise
                except CriError:  # it has not ended: containerd words this differently from version to version
                    await self._kill()
                    await tasks.delete_process(self.container.id, self.id)
        finally:
            await self.io.close()

    async def _kill(self) -> None:
        tasks = self.parts.containerd.tasks
        await tasks.kill(self.container.id, signal.SIGKILL, self.id)
        with anyio.move_on_after(KILL_SECONDS):
            await tasks.wait(self.container.id, self.id)
