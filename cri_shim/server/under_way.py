"""What calls under way depend on, kept going until they are answered: an end comes to it last, not first.

A signal cancels the whole tree of tasks at once. The calls themselves are tasks of grpclib's, and outlive that for as
long as the server drains; the work that they wait for has to do so, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import anyio

if TYPE_CHECKING:
    from types import TracebackType

    from anyio.abc import TaskGroup, TaskStatus


class UnderWay:
    """`group` is for tasks that go on until `end`, whatever is cancelled above; leaving the context ends them, too."""

    group: TaskGroup

    def __init__(self, tasks: TaskGroup) -> None:
        """`tasks` hears when one of them fails."""
        self._tasks = tasks
        self._end = anyio.Event()
        self._ended = anyio.Event()

    async def __aenter__(self) -> Self:
        self.group = await self._tasks.start(self._hold)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()

    async def end(self) -> None:
        """Cancel what still runs, and wait for it."""
        self._end.set()
        with anyio.CancelScope(shield=True):
            await self._ended.wait()

    async def _hold(self, *, task_status: TaskStatus[TaskGroup]) -> None:
        try:
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as group:
                    task_status.started(group)
                    await self._end.wait()
                    group.cancel_scope.cancel()
        finally:
            self._ended.set()
