"""Exits: one wait per task, so that none is lost and none waits behind another's.

A wait is a call to containerd that stays open until the task ends. When containerd restarts, the call fails and is
made again; a task that is gone by then has ended unseen, with code 255. An exit whose handling fails is handled again
after a pause that doubles, for as long as the server lives.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import structlog

from cri_shim.containerd.backoff import doubling
from cri_shim.errors import CriError, NotFound, Unknown
from cri_shim.observe.dependencies import event_handled
from cri_shim.state.container import UNKNOWN_EXIT_CODE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

    from cri_shim.containerd.client import Client

log = structlog.get_logger(__name__)

_PAUSES = (0.2, 60.0)  # seconds: the first, the longest


@dataclass(frozen=True)
class Exit:
    """How a task ended: its exit status, and when, in nanoseconds since the epoch."""

    status: int
    at: int
    seen: bool = True  # False: the task was gone before anybody saw it end


class ExitWatch:
    """Waits for tasks in `tasks`, the server's task group, and hands each exit to its handler."""

    def __init__(self, containerd: Client, tasks: TaskGroup) -> None:
        self._containerd = containerd
        self._tasks = tasks

    def watch(self, task_id: str, handle: Callable[[Exit], Awaitable[None]]) -> None:
        """Have `handle` called, once, with the exit of the task `task_id`. Called when the task has been started."""
        self._tasks.start_soon(self._watch, task_id, handle, name=f"exit of {task_id}")

    async def _watch(self, task_id: str, handle: Callable[[Exit], Awaitable[None]]) -> None:
        exit_ = await self.wait(task_id)
        pauses = doubling(*_PAUSES)
        while True:
            try:
                await handle(exit_)
            except Exception as error:  # noqa: BLE001  (logged and tried again: an exit is never forgotten)
                pause = next(pauses)
                log.warning("exit not handled yet", id=task_id, error=repr(error), next_try_in=pause)
                await anyio.sleep(pause)
            else:
                if exit_.seen:
                    event_handled("exit", exit_.at)
                return

    async def wait(self, task_id: str) -> Exit:
        """The exit of `task_id`, however often containerd restarts until then."""
        pauses = doubling(*_PAUSES)
        while True:
            try:
                exited = await self._containerd.tasks.wait(task_id)
            except NotFound:
                return Exit(UNKNOWN_EXIT_CODE, time.time_ns(), seen=False)
            except CriError as error:
                if await self._lost(task_id, error):
                    return Exit(UNKNOWN_EXIT_CODE, time.time_ns(), seen=False)
                pause = next(pauses)
                log.warning("wait for a task broke off", id=task_id, error=str(error), next_try_in=pause)
                await anyio.sleep(pause)
            else:
                return Exit(exited.status, exited.at_ns or time.time_ns())

    async def _lost(self, task_id: str, error: CriError) -> bool:
        """Whether the task's shim has died: then containerd has no such task, though it has connections to close."""
        if not isinstance(error, Unknown):
            return False
        try:
            await self._containerd.tasks.get(task_id)
        except NotFound:
            return True
        except CriError:
            return False
        return False
