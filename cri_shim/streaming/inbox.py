"""Where a client's bytes wait for the process or port that reads them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
from anyio.abc import ByteReceiveStream

if TYPE_CHECKING:
    from collections.abc import Callable

BOUND_BYTES = 64 << 10
_PIECE_BYTES = 64 << 10  # what is received at a time, as a rule


class Inbox(ByteReceiveStream):
    """Keeps about `bound` bytes until they are received; `used` is told when they are, or are dropped.

    Who puts waits when there is no room: so a connection is not read from, for want of another brake.
    """

    def __init__(self, used: Callable[[int], None] = lambda _: None, bound: int = BOUND_BYTES) -> None:
        self._used = used
        self._bound = bound
        self._chunks: deque[bytes] = deque()
        self._bytes = 0
        self._ended = False
        self._closed = False
        self._news = anyio.Event()  # for who receives
        self._room = anyio.Event()  # for who puts

    async def put(self, data: bytes) -> None:
        """Keep `data`; returns once there is room for more, or nobody will ever want it."""
        if self._closed or not data:
            self._used(len(data))
            return
        self._chunks += (
            data[at : at + _PIECE_BYTES] for at in range(0, len(data), _PIECE_BYTES)
        )  # each is copied once
        self._bytes += len(data)
        self._news.set()
        while self._bytes > self._bound:
            self._room = anyio.Event()
            await self._room.wait()

    def end(self) -> None:
        """No more comes; what there is can still be received."""
        self._ended = True
        self._news.set()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """The next bytes. Raises EndOfStream after the last, ClosedResourceError after `aclose`."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        while not self._chunks:
            if self._closed:
                raise anyio.ClosedResourceError
            if self._ended:
                raise anyio.EndOfStream
            self._news = anyio.Event()
            await self._news.wait()
        data = self._chunks.popleft()
        if len(data) > max_bytes:
            self._chunks.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        self._take(len(data))
        return data

    async def aclose(self) -> None:
        """Want no more: what comes from now on is dropped, so that it does not hold up the connection."""
        self.close()

    def close(self) -> None:
        """As `aclose`."""
        self._closed = True
        self._chunks.clear()
        self._take(self._bytes)
        self._news.set()

    def _take(self, length: int) -> None:
        self._bytes -= length
        self._used(length)
        if self._bytes <= self._bound:
            self._room.set()
