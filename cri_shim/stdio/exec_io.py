"""The FIFOs of one command run in a container, seen from our side.

They are read on the event loop, not by the logs' thread: a probe must not wait for the logs' disk. Output is pulled, so
that a client that does not read holds up its own command and nobody else; what nobody wants goes from the pipe to
nowhere inside the kernel, so that a command that says too much still ends.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import lowlevel, to_thread

from cri_shim.stdio.fifos import Fifos, open_output
from cri_shim.stdio.stdin import StdinPipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import ByteSendStream

T = TypeVar("T")

READ_BYTES = 1 << 16
SPLICE_BYTES = 1 << 20


class Output:
    """The read end of one output; one task at a time uses it."""

    def __init__(self, path: str) -> None:
        self.dropped = 0  # bytes that were read away
        self.waits_for_client = False
        self._fd = open_output(path)
        self._has_writer = False

    async def collect(self, limit: int) -> bytes:
        """All of it to its end, without what is above `limit` bytes."""
        chunks: list[bytes] = []
        while limit:
            data = await self._moved(lambda: os.read(self._fd, min(READ_BYTES, limit)))  # noqa: B023  (called at once)
            if not data:
                return b"".join(chunks)
            chunks.append(data)
            limit -= len(data)
        await self._drop()
        return b"".join(chunks)

    async def copy(self, client: ByteSendStream | None) -> None:
        """Send all of it to its end; without a client, and after one has gone, it is read away."""
        if client is not None:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                while data := await self._moved(lambda: os.read(self._fd, READ_BYTES)):
                    await self._send(client, data)
                return
        await self._drop()

    def close(self) -> None:
        """Let go of the FIFO. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    async def _send(self, client: ByteSendStream, data: bytes) -> None:
        self.waits_for_client = True
        try:
            await client.send(data)
        finally:
            self.waits_for_client = False

    async def _drop(self) -> None:
        while moved := await self._moved(self._splice):
            self.dropped += moved

    def _splice(self) -> int:
        return os.splice(self._fd, _nowhere(), SPLICE_BYTES, flags=os.SPLICE_F_NONBLOCK)

    async def _moved(self, move: Callable[[], T]) -> T:
        """What `move` returns once there is something to move, or the end.

        A FIFO that no writer has opened yet reads as ended: the first look waits for epoll, which speaks only then.
        """
        while True:
            if self._has_writer:
                await lowlevel.checkpoint()  # others' turn, however quickly this command speaks
                with suppress(BlockingIOError):
                    return move()
            await anyio.wait_readable(self._fd)
            self._has_writer = True


@cache
def _nowhere() -> int:
    """One descriptor for the process, never closed."""
    return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


class ExecIo:
    """The FIFOs of one exec; `stdin`, `stdout` and `stderr` are the paths for the task, "" where there is none."""

    def __init__(self, fifos: Fifos) -> None:
        self.terminal = fifos.terminal
        self.stdin, self.stdout = fifos.stdin, fifos.stdout
        self.stderr = "" if fifos.terminal else fifos.stderr
        self._fifos = fifos
        self._outputs: list[Output] = []
        self._input: StdinPipe | None = None

    @classmethod
    def create(cls, state: str, exec_id: str, *, stdin: bool = False, terminal: bool = False) -> ExecIo:
        """New FIFOs below a container's state directory. Blocks; raises OSError, and leaves nothing then."""
        return cls(Fifos.create(state, exec_id, stdin=stdin, terminal=terminal))

    def open(self) -> None:
        """Open our ends: from now on nothing that is said is lost. Raises OSError."""
        for path in filter(None, (self.stdout, self.stderr)):
            self._outputs.append(Output(path))
        if self.stdin:
            self._input = StdinPipe.open(self.stdin, adopted=False)

    @property
    def input(self) -> StdinPipe | None:
        """The command's standard input; None if it has none."""
        return self._input

    @property
    def waits_for_client(self) -> bool:
        """Whether there is output that a client has not taken yet."""
        return any(output.waits_for_client for output in self._outputs)

    @property
    def dropped(self) -> tuple[int, ...]:
        """Bytes of each output that were read away so far."""
        return tuple(output.dropped for output in self._outputs)

    async def collect(self, limit: int) -> list[bytes]:
        """Each output to its end, standard output first; without what is above `limit` bytes of each."""
        found = [b""] * len(self._outputs)

        async def collect(place: int, output: Output) -> None:
            found[place] = await output.collect(limit)

        async with anyio.create_task_group() as tasks:
            for place, output in enumerate(self._outputs):
                tasks.start_soon(collect, place, output)
        return found

    async def copy(self, *clients: ByteSendStream | None) -> None:
        """Send each output, standard output first, to its client until it ends."""
        async with anyio.create_task_group() as tasks:
            for output, client in zip(self._outputs, clients, strict=False):
                tasks.start_soon(output.copy, client)

    async def close(self) -> None:
        """Let go of the FIFOs and remove them. Idempotent; nobody may be reading any more."""
        for output in self._outputs:
            output.close()
        if self._input is not None:
            self._input.close()
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._fifos.remove)
