"""One more listener to a container's output, beside its log: what an attached client reads from.

The pump's thread offers each chunk as it was read; a task on the event loop takes them. Neither waits for the other:
a listener that is behind by more than its bound gets what it had been offered until then and nothing more, and
`missed_bytes` says how much that was; so a client that does not read can't hold up the container, its log or others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

BOUND_BYTES = 8 << 20
Stream = Literal["stdout", "stderr"]


@dataclass(eq=False)
class Subscription:
    """An asynchronous iterator of (stream, bytes) from now on; ends with the container's output, `close` or a miss."""

    streams: frozenset[Stream]
    bound: int = BOUND_BYTES
    missed_bytes: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _less: asyncio.Event = field(default_factory=asyncio.Event)
    _chunks: deque[tuple[Stream, bytes]] = field(default_factory=deque)
    _offered: int = 0  # bytes; only the offering thread writes it
    _taken: int = 0  # bytes; only the loop writes it
    _ended: bool = False

    def offer(self, stream: Stream, data: bytes) -> None:
        """Take a chunk, from any thread; dropped if the listener is too far behind, or does not want the stream."""
        if stream not in self.streams or self._ended:
            return
        if self.missed_bytes or self._offered - self._taken + len(data) > self.bound:
            self.missed_bytes += len(data)
            self._tell()
            return
        self._chunks.append((stream, data))
        self._offered += len(data)
        self._tell()

    def close(self) -> None:
        """No more chunks, from any thread; those there are can still be read."""
        self._ended = True
        self._tell()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> tuple[Stream, bytes]:
        """The next chunk."""
        while not self._chunks:
            if self._ended or self.missed_bytes:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        stream, data = self._chunks.popleft()
        self._taken += len(data)
        self._less.set()
        return stream, data

    async def nearly_caught_up(self) -> None:
        """Wait until most of what was offered has been taken: what this listener says itself may bring more."""
        while self._offered - self._taken > self.bound // 4 and not self._ended:
            self._less.clear()
            await self._less.wait()

    def _tell(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody listens
            self._loop.call_soon_threadsafe(self._news.set)
