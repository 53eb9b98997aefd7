"""The output of a command run in a container and waited for: kept up to a limit, and the rest read away.

It is read on the event loop, not by the logs' thread: a probe must not wait for the logs' disk. What is above the
limit goes from the pipe to nowhere inside the kernel, so that a command that says too much still ends.
"""

from __future__ import annotations

import asyncio
import os
from functools import cache

import anyio
from anyio import to_thread

from cri_shim.stdio.fifos import Fifos, open_output

READ_BYTES = 1 << 16
SPLICE_BYTES = 1 << 20


class _Collector:
    """One stream: what is kept, how much was not, and whether it has ended."""

    def __init__(self, fd: int, limit: int) -> None:
        self.ended = asyncio.Event()
        self.dropped = 0
        self._fd = fd
        self._left = limit
        self._chunks: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._readable)

    @property
    def data(self) -> bytes:
        return b"".join(self._chunks)

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
            self.ended.set()

    def _readable(self) -> None:
        try:
            moved = self._keep() if self._left else self._drop()
        except BlockingIOError:
            return
        if not moved:
            self.close()

    def _keep(self) -> int:
        data = os.read(self._fd, min(READ_BYTES, self._left))
        self._left -= len(data)
        self._chunks.append(data)
        return len(data)

    def _drop(self) -> int:
        moved = os.splice(self._fd, _nowhere(), SPLICE_BYTES, flags=os.SPLICE_F_NONBLOCK)
        self.dropped += moved
        return moved


@cache
def _nowhere() -> int:
    """One descriptor for the process, never closed."""
    return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


class ExecIo:
    """The FIFOs of one exec and what came out of them; `stdout` and `stderr` are the paths for the task."""

    def __init__(self, fifos: Fifos, limit: int) -> None:
        self.stdout, self.stderr = fifos.stdout, fifos.stderr
        self._fifos = fifos
        self._limit = limit
        self._collectors: list[_Collector] = []

    @classmethod
    def create(cls, state: str, exec_id: str, limit: int) -> ExecIo:
        """New FIFOs below a container's state directory; `limit` bytes of each stream are kept. Blocks."""
        return cls(Fifos.create(state, exec_id, stdin=False, terminal=False), limit)

    def start(self) -> None:
        """Open the FIFOs and begin to read. Raises OSError."""
        for path in (self.stdout, self.stderr):
            self._collectors.append(_Collector(open_output(path), self._limit))

    async def collect(self) -> tuple[bytes, bytes]:
        """Standard output and standard error, once both have ended; without what was above the limit."""
        for collector in self._collectors:
            await collector.ended.wait()
        stdout, stderr = self._collectors
        return stdout.data, stderr.data

    @property
    def dropped(self) -> tuple[int, int]:
        """Bytes of standard output and standard error that were above the limit, so far."""
        stdout, stderr = self._collectors
        return stdout.dropped, stderr.dropped

    async def close(self) -> None:
        """Stop reading and remove the FIFOs. Idempotent."""
        for collector in self._collectors:
            collector.close()
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._fifos.remove)
