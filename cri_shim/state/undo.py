"""What has to be undone when a call fails half-way.

Each step that makes something pushes its undo where it is made. If the body of the `async with` fails or is
cancelled, the steps run in reverse order, shielded, on their own clock: the caller's deadline may be what ended the
call. A failing undo doesn't stop the others; what could not be undone is known afterwards (`left`), so that the object
can be kept visible for a later Stop and Remove instead of being forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import anyio
import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

log = structlog.get_logger(__name__)

# containerd's `io.containerd.timeout.cri.defercleanup`.
CLEANUP_SECONDS = 60.0


class Undo:
    """A stack of clean-up steps that runs only on failure."""

    def __init__(self, work: str, *, seconds: float = CLEANUP_SECONDS) -> None:
        self._work = work
        self._seconds = seconds
        self._steps: list[tuple[str, Callable[[], Awaitable[object]], bool]] = []
        self.left: list[str] = []

    def push(self, what: str, step: Callable[[], Awaitable[object]], *, unless_left: bool = False) -> None:
        """Register `step`, which undoes `what`.

        A step pushed with `unless_left` is skipped when a step before it (made later) failed: the record and the name
        of an object must outlive what still exists of it.
        """
        self._steps.append((what, step, unless_left))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._steps:
            log.info("undoing", work=self._work, steps=len(self._steps), because=repr(error))
            await self._run()

    async def _run(self) -> None:
        with anyio.move_on_after(self._seconds, shield=True) as scope:
            while self._steps:
                await self._step(*self._steps[-1])
                self._steps.pop()
        if scope.cancelled_caught:
            self.left += [what for what, _, _ in reversed(self._steps)]
            log.error("undo ran out of time", work=self._work, left=self.left, seconds=self._seconds)

    async def _step(self, what: str, step: Callable[[], Awaitable[object]], unless_left: bool) -> None:  # noqa: FBT001
        if unless_left and self.left:
            self.left.append(what)
            return
        try:
            await step()
        except Exception as error:  # noqa: BLE001  (the others must still run; what is left is reported)
            self.left.append(what)
            log.error("undo failed", work=self._work, what=what, error=str(error) or repr(error))
