"""A client's connection, whose silence is noticed, and whose end is not hasty."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from anyio.abc import ByteStream

from cri_shim.streaming import seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any


class Transport(ByteStream):
    """A byte stream that remembers when a byte last passed."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._last = anyio.current_time()
        self._reading = anyio.CancelScope()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the stream."""
        return self._stream.extra_attributes

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """As of any stream."""
        data = await self._stream.receive(max_bytes)
        self._last = anyio.current_time()
        return data

    async def send(self, item: bytes) -> None:
        """As of any stream."""
        await self._stream.send(item)
        self._last = anyio.current_time()

    async def send_eof(self) -> None:
        """As of any stream; nothing on TLS, which can't be closed by halves, and where the client is gone.

        uvloop says by a RuntimeError that a client has reset its connection.
        """
        with suppress(NotImplementedError, anyio.BrokenResourceError, anyio.ClosedResourceError, RuntimeError):
            await self._stream.send_eof()

    async def aclose(self) -> None:
        """As of any stream."""
        await self._stream.aclose()

    async def reading(self, read: Callable[[bytes], Awaitable[None]], first: bytes) -> None:
        """Do `read`, which begins with `first`, until it ends or `cut` is called."""
        with self._reading:
            await read(first)

    async def cut(self) -> None:
        """Close, also where whoever reads waits for room and not for bytes."""
        self._reading.cancel()
        await self.aclose()

    async def silent(self, most: float) -> None:
        """Return once nothing has passed for `most` seconds."""
        while (until := self._last + most) > anyio.current_time():  # noqa: ASYNC110  (it moves on)
            await anyio.sleep_until(until)

    async def linger(self, gone: anyio.Event) -> None:
        """Say that all was sent, and wait a little for the client to be `gone`, while somebody reads.

        A socket closed with unread bytes takes back what was sent and has not yet been read: a command's last output
        and its exit code.
        """
        await self.send_eof()
        with anyio.move_on_after(seconds.LINGER):
            await gone.wait()
