"""One connection to containerd's gRPC socket: headers, deadlines, errors and coming back after an outage.

What can go wrong with a call is told apart by two questions: did the request leave us, and is it harmless to send it
twice? A call that never left (containerd is down) and a read that got no answer (its connection broke) are tried
again, with growing pauses, until containerd has been away for `PATIENCE_SECONDS`. That spans a restart of containerd
in the middle of a pod's start, and yet, once the outage is longer, every call fails at its first attempt instead of
piling up. A write whose fate is unknown is never repeated: its caller reads what came of it, or undoes it.

A write under way is waited for even when its caller is cancelled. Cut off, it may be carried out all the same, after
the call that was to undo it has found nothing; and a task's Create leaves the shim behind that was being started, which
no call leads to.

Source: gRPC over HTTP/2 (PROTOCOL-HTTP2.md); the `containerd-namespace` and `containerd-lease` headers are those of
containerd's Go client. `traceparent` (W3C Trace Context) goes along where spans are made.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from grpclib.client import Channel as GrpcChannel
from grpclib.config import Configuration
from grpclib.const import Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from cri_shim.containerd.backoff import doubling
from cri_shim.errors import DeadlineExceeded, Internal, Unavailable, from_status
from cri_shim.observe import tracing
from cri_shim.observe.dependencies import ContainerdCall

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from grpclib.client import ServiceMethod, Stream, UnaryStreamMethod, UnaryUnaryMethod

Q = TypeVar("Q")
R = TypeVar("R")

# What a call may take when its caller says nothing: containerd's own are done within milliseconds, but its metadata
# store waits for the disk, and that may be busy unpacking an image.
DEADLINE_SECONDS = 30.0
# How long containerd may be away before calls stop waiting for it. systemd restarts it within a second or two.
PATIENCE_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.5
_SHORTEST_SECONDS = 0.001  # grpclib can't start a call that has no time left

# A reader that lags holds back its own stream (4 MiB), never the others on the connection.
_WINDOWS = Configuration(http2_connection_window_size=64 << 20, http2_stream_window_size=4 << 20)


class ConnectionFailed(Unavailable):
    """containerd can't be reached, or went away during a call; `sent` tells whether it may have seen the request."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class _Left(Exception):
    """The block of a stream has come to its end before the stream did."""

    code = Status.OK


class Channel:
    """A connection to the socket at `address`, opened with the first call and again after each loss."""

    def __init__(self, address: str, namespace: str, *, patience: float = PATIENCE_SECONDS) -> None:
        self.address = address
        self.grpc = GrpcChannel(path=address.removeprefix("unix://"), config=_WINDOWS)
        self._headers = (("containerd-namespace", namespace),)
        self._patience = patience
        self._down_since: float | None = None

    def close(self) -> None:
        """Close the connection; calls under way end with Unavailable."""
        self.grpc.close()

    async def call(
        self,
        method: UnaryUnaryMethod[Q, R],
        request: Q,
        *,
        timeout: float | None = DEADLINE_SECONDS,
        lease: str | None = None,
    ) -> R:
        """The answer to a call that must not be sent twice. `timeout` is in seconds, None for no deadline.

        A cancellation waits for the answer, unless there is no deadline.
        Raises the CriError of containerd's status; DeadlineExceeded after `timeout`; Unavailable when containerd is
        not there or went away before it answered.
        """

        async def attempt() -> R:
            with anyio.CancelScope(shield=timeout is not None):
                reply = await self._unary(method, request, timeout, lease)
            return reply  # noqa: RET504  (inside the scope, mypy expects it to swallow what ends it)

        return await self._persist(attempt, again=False)

    async def read(
        self,
        method: UnaryUnaryMethod[Q, R],
        request: Q,
        *,
        timeout: float | None = DEADLINE_SECONDS,
        lease: str | None = None,
    ) -> R:
        """As `call`, for one that changes nothing: asked again when the connection broke before the answer."""
        return await self._persist(lambda: self._unary(method, request, timeout, lease), again=True)

    async def read_all(
        self, method: UnaryStreamMethod[Q, R], request: Q, *, timeout: float | None = DEADLINE_SECONDS
    ) -> list[R]:
        """All messages of a stream that ends by itself; errors and repetition as with `read`."""

        async def attempt() -> list[R]:
            async with self.open(method, timeout=timeout) as stream:
                await stream.send_message(request, end=True)
                return [message async for message in stream]

        return await self._persist(attempt, again=True)

    @asynccontextmanager
    async def open(
        self,
        method: ServiceMethod[Q, R],
        *,
        timeout: float | None = None,
        lease: str | None = None,
    ) -> AsyncIterator[Stream[Q, R]]:
        """A call whose headers are sent; a failure of it, raised anywhere in the block, is a CriError.

        Leaving the block waits for containerd's status; an exception, or a cancellation, ends the call there as well.
        """
        metadata = (*self._headers, *tracing.outgoing(), *((("containerd-lease", lease),) if lease else ()))
        stream = method.open(timeout=timeout and max(timeout, _SHORTEST_SECONDS), metadata=metadata)
        with (
            ContainerdCall(method.name, timed=timeout is not None),
            self._translated(stream, method.name, timeout),
        ):
            async with stream:
                await self._send(stream)
                yield stream

    @asynccontextmanager
    async def stay(self, method: ServiceMethod[Q, R], *, lease: str | None = None) -> AsyncIterator[Stream[Q, R]]:
        """As `open`, for a stream without an end of its own: leaving the block ends it."""
        with suppress(_Left):
            async with self.open(method, lease=lease) as stream:
                yield stream
                raise _Left

    async def _send(self, stream: Stream[Any, Any]) -> None:
        try:
            await stream.send_request()
        except TimeoutError:
            raise
        except OSError as error:
            raise ConnectionFailed(
                f"containerd at {self.address} can't be reached: {error.strerror or error}: is it running?", sent=False
            ) from error

    async def _unary(self, method: UnaryUnaryMethod[Q, R], request: Q, timeout: float | None, lease: str | None) -> R:
        async with self.open(method, timeout=timeout, lease=lease) as stream:
            await stream.send_message(request, end=True)
            reply = await stream.recv_message()
        if reply is None:
            raise ConnectionFailed(f"containerd at {self.address} went away during {method.name}", sent=True)
        return reply

    async def _persist(self, attempt: Callable[[], Awaitable[R]], *, again: bool) -> R:
        pauses = doubling(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        while True:
            try:
                result = await attempt()
            except ConnectionFailed as error:
                if (error.sent and not again) or not self._patient():
                    raise
            else:
                self._down_since = None
                return result
            pause = next(pauses)
            await anyio.sleep(random.uniform(pause / 2, pause))  # noqa: S311  (spreads retries, guards nothing)

    def _patient(self) -> bool:
        now = anyio.current_time()
        if self._down_since is None:
            self._down_since = now
        return now < self._down_since + self._patience

    @contextmanager
    def _translated(self, stream: Stream[Any, Any], method: str, timeout: float | None) -> Iterator[None]:
        try:
            yield
        except GRPCError as error:
            raise from_status(error.status, error.message or f"{method} failed without a reason") from error
        except TimeoutError as error:
            if not settle(stream):
                raise
            raise DeadlineExceeded(f"containerd did not answer {method} within {timeout} s") from error
        except StreamTerminatedError as error:
            settle(stream)
            raise ConnectionFailed(
                f"containerd at {self.address} went away during {method}: {error}", sent=True
            ) from error
        except ProtocolError as error:
            raise Internal(f"{method}: {error}") from error


def settle(stream: Stream[Any, Any]) -> bool:
    """Take back grpclib's request to cancel this task, which it has turned into an error; False if it made none.

    grpclib wakes a waiting call by cancelling its task. Left standing, that request would make the next cancel scope
    around us believe that the task itself is being cancelled.
    """
    wrapper = getattr(stream, "_wrapper", None)
    task = asyncio.current_task()
    if wrapper is None or not wrapper.cancelled or task is None:
        return False
    task.uncancel()
    return True
