"""Calls that join: a retried request waits for the one in flight and gets its answer.

A kubelet whose call timed out sends it again. Where containerd's plugin answers 'name is reserved' until the first
call has ended, here the same request joins it. The work runs in a task of its own, owned by the server's task group;
the callers only wait. When the last of them has given up, the work is cancelled and undoes itself, and a caller that
comes meanwhile waits until that is done and then starts afresh.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio

from cri_shim.errors import Canceled, FailedPrecondition

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from anyio.abc import TaskGroup

T = TypeVar("T")


@dataclass(eq=False)
class _Flight:
    """One piece of work under way and how many wait for it."""

    request: object
    started: float
    waiters: int = 0
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    result: Any = None
    error: BaseException | None = None


class Flights:
    """The work under way, by key; its tasks live in `tasks`."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._flights: dict[Hashable, _Flight] = {}

    async def join(self, key: Hashable, request: object, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work()`, or of the equal `request` for `key` that is already in flight.

        Raises FailedPrecondition when another request for the same key is in flight, and whatever the work raises.
        """
        while (flight := self._flights.get(key)) is not None and flight.scope.cancel_called:
            await flight.done.wait()
        if flight is None:
            flight = self._flights[key] = _Flight(request, anyio.current_time())
            self._tasks.start_soon(self._run, key, flight, work, name=f"flight {key}")
        elif flight.request != request:
            age = anyio.current_time() - flight.started
            raise FailedPrecondition(
                f"{key}: another request for it has been in flight for {age:.1f} s and differs from this one: "
                "wait for it to end, or use the next attempt number"
            )
        return cast("T", await self._wait(flight))

    async def landed(self, key: Hashable) -> None:
        """Return when nothing is in flight for `key`: what was cancelled has undone itself."""
        while (flight := self._flights.get(key)) is not None:
            await flight.done.wait()

    async def _wait(self, flight: _Flight) -> Any:
        flight.waiters += 1
        try:
            await flight.done.wait()
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.done.is_set():
                flight.scope.cancel()
        if flight.error is not None:
            raise flight.error
        return flight.result

    async def _run(self, key: Hashable, flight: _Flight, work: Callable[[], Awaitable[Any]]) -> None:
        flight.error = Canceled(f"{key}: everybody who asked for it gave up")
        try:
            with flight.scope:
                flight.result = await work()
                flight.error = None
        except Exception as error:  # noqa: BLE001  (it is the callers', who re-raise it)
            flight.error = error
        finally:
            del self._flights[key]
            flight.done.set()
