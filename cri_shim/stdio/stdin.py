"""A container's standard input: a write end that we hold, so that the container does not see the end of it.

Nobody need be attached. When the last write end is closed the process reads the end: with `stdin_once` that is when
the first client has gone, else when the container's streams are closed.
"""

from __future__ import annotations

import contextlib
import os

import anyio

from cri_shim.stdio.fifos import has_reader, open_input, writer_of


class StdinPipe:
    """The write end; used from the event loop."""

    def __init__(self, path: str, fd: int, *, also_reads: bool) -> None:
        self.path = path
        self._fd = fd
        self._also_reads = also_reads
        self._turn = anyio.Lock()

    @classmethod
    def open(cls, path: str, *, adopted: bool) -> StdinPipe | None:
        """The write end of a new FIFO, or of a running task's; None if that task has closed its end. Never waits."""
        if not adopted:
            return cls(path, open_input(path), also_reads=True)
        fd = writer_of(path)
        return None if fd is None else cls(path, fd, also_reads=False)

    @property
    def closed(self) -> bool:
        """Whether the container has been told the end."""
        return self._fd < 0

    async def write(self, data: bytes) -> None:
        """Write all of `data`, waiting while the container does not read; writers take turns.

        Raises BrokenPipeError when the container, or we, have closed its standard input.
        """
        async with self._turn:
            await self._write(data)

    async def _write(self, data: bytes) -> None:
        self._only_write()
        rest = memoryview(data)
        while rest:
            if self.closed:
                raise BrokenPipeError(f"{self.path}: standard input is closed")
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                with contextlib.suppress(anyio.ClosedResourceError):
                    await anyio.wait_writable(self._fd)

    def close(self) -> None:
        """Tell the container the end. Idempotent."""
        if not self.closed:
            anyio.notify_closing(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _only_write(self) -> None:
        """Let go of our own read end, so that we learn when the shim closes its; not before it has opened it."""
        if not self._also_reads or self.closed:
            return
        fd = writer_of(self.path)
        if fd is None:  # the FIFO is gone
            return
        os.close(self._fd)
        self._fd = fd
        self._also_reads = not has_reader(fd)
        if self._also_reads:
            self._fd = open_input(self.path)
            os.close(fd)
