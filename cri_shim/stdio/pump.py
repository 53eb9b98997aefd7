"""One thread that moves what containers say: epoll over their FIFOs, read, format, append to the log.

Why a thread, and why one: a write to a disk may block, so it can't be on the event loop; and each further thread is
one more that wants the interpreter while the loop wants it. Measured on two cores, eight containers writing as fast as
they can: beside one thread the loop is at most 1.2 ms late in 99 cases of 100 (267 MB/s in all), beside a thread for
each container 27 ms (288 MB/s); with 32 containers, 1.6 ms against 81. All logs of a node are on one disk, so one
thread waiting for it holds nobody up who would not wait as well.

What belongs to a container is touched by this thread only: others `submit` what is to be done.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import threading
import time
from collections import deque
from concurrent.futures import Future
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

log = structlog.get_logger(__name__)

READ_BYTES = 1 << 16  # a read's worth is formatted with the interpreter held: about 0.1 ms
RETRY_SECONDS = 1.0
PAUSE_SECONDS = 0.002


class Source(Protocol):
    """Something that is read from when epoll says so."""

    fd: int

    def advance(self) -> int:
        """Read once, pass it on, and say how many bytes that were; 0 at the end."""

    def finish(self) -> None:
        """The end has come, and `fd` is no longer watched."""


class Retry(Protocol):
    """Something that could not be done and is worth another try."""

    def retry(self) -> bool:
        """Try again; whether it is done."""


class Pump:
    """The thread and what it watches. `submit` and `call` are for others; the rest is for its own thread."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._commands: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._sources: dict[int, Source] = {}
        self._retries: set[Retry] = set()
        self._next_retry = 0.0
        self._stopping = False
        self._epoll.register(self._wake, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="log pump", daemon=True)
        self._thread.start()

    def submit(self, command: Callable[[], T]) -> Future[T]:
        """Have the pump's thread call `command`, after the commands before it; the future has its outcome."""
        future: Future[T] = Future()
        self._commands.append((command, future))
        os.eventfd_write(self._wake, 1)
        return future

    async def call(self, command: Callable[[], T]) -> T:
        """What `command` returns or raises, called by the pump's thread, even if the caller is cancelled meanwhile."""
        return await asyncio.shield(asyncio.wrap_future(self.submit(command)))

    def watch(self, source: Source) -> None:
        """Read from `source` from now on."""
        self._sources[source.fd] = source
        self._epoll.register(source.fd, select.EPOLLIN)

    def unwatch(self, source: Source) -> None:
        """Read from `source` no more."""
        if self._sources.pop(source.fd, None) is not None:
            self._epoll.unregister(source.fd)

    def retry_later(self, retry: Retry) -> None:
        """Call `retry` every second until it is done."""
        if not self._retries:
            self._next_retry = time.monotonic() + RETRY_SECONDS
        self._retries.add(retry)

    def forget(self, retry: Retry) -> None:
        """Don't call `retry` any more."""
        self._retries.discard(retry)

    def stop(self) -> None:
        """End the thread, when it has done what was submitted before."""

        def stop() -> None:
            self._stopping = True

        self.submit(stop)
        self._thread.join()
        self._epoll.close()
        os.close(self._wake)

    def _run(self) -> None:
        last = 0.0
        while not self._stopping:
            events = self._epoll.poll(self._timeout())
            now = time.monotonic()
            moved = sum(map(self._handle, events))
            if self._retries and now >= self._next_retry:
                self._retry(now)
            if 0 < moved < READ_BYTES and now - last < PAUSE_SECONDS:
                time.sleep(PAUSE_SECONDS)  # a chatty container: let lines gather instead of waking for each
            last = now

    def _timeout(self) -> float:
        return max(0.0, self._next_retry - time.monotonic()) if self._retries else -1.0

    def _handle(self, event: tuple[int, int]) -> int:
        fd = event[0]
        if fd == self._wake:
            self._obey()
            return 0
        source = self._sources.get(fd)
        if source is None:  # taken away by a command that came with the same events
            return 0
        try:
            moved = source.advance()
        except Exception as error:  # noqa: BLE001  (one container's trouble must not end the others' logs)
            moved = 0
            _report(error)
        if not moved:
            self.unwatch(source)
            try:
                source.finish()
            except Exception as error:  # noqa: BLE001  (as above)
                _report(error)
        return moved

    def _obey(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        while self._commands:
            command, future = self._commands.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(command())
            except BaseException as error:  # noqa: BLE001  (it is raised again where the result is awaited)
                future.set_exception(error)

    def _retry(self, now: float) -> None:
        for retry in list(self._retries):
            if retry.retry():
                self._retries.discard(retry)
        self._next_retry = now + RETRY_SECONDS


def _report(error: Exception) -> None:
    """Say what should not have happened; our own log may be on a full disk."""
    with contextlib.suppress(OSError):
        log.error("a container's output can't be read any more", exc_info=error)


@cache
def shared_pump() -> Pump:
    """The pump of this process, started when the first container needs it; it ends with the process."""
    return Pump()
