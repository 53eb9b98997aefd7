"""Threads of one use, for calls that change the thread itself: its network namespace, its working directory.

Such a thread must never serve anybody else afterwards, so none of a pool can be taken: it starts, runs one function,
and ends.
"""

from __future__ import annotations

import _thread
import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


def call(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """What `function` returns or raises, run in a thread of its own; the calling thread waits for it."""
    return _start(function, *args, **kwargs).result()


async def call_async(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """As `call`, while the loop goes on.

    A system call can't be abandoned: a cancellation, anyio's or asyncio's own, is held back until the function has
    ended, and is raised then.
    """
    future = asyncio.wrap_future(_start(function, *args, **kwargs))
    cancellation: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError as error:
                cancellation = error
    if cancellation is not None:
        future.exception()  # looked at, so that asyncio doesn't report it as forgotten
        raise cancellation
    return future.result()


def _start(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()  # from here on it can't be cancelled

    def run() -> None:
        try:
            outcome.set_result(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  (it is raised again where the result is awaited)
            outcome.set_exception(error)

    _thread.start_new_thread(run, ())  # threading.Thread.start() would wait for it to run, and so hold up the loop
    return outcome
