"""Work that goes on at the same time, awaited together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

import anyio
import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

log = structlog.get_logger(__name__)


@overload
async def overlap(first: Awaitable[A], second: Awaitable[B], /) -> tuple[A, B]: ...
@overload
async def overlap(first: Awaitable[A], second: Awaitable[B], third: Awaitable[C], /) -> tuple[A, B, C]: ...
async def overlap(*works: Awaitable[Any]) -> tuple[Any, ...]:
    """The results of all `works`, run at the same time.

    When one fails the others are cancelled and waited for, and its error is raised as it is, not in a group: what went
    wrong first is what the caller has to know.
    """
    results: list[Any] = [None] * len(works)
    first: list[Exception] = []

    async def run(index: int, work: Awaitable[Any]) -> None:
        try:
            results[index] = await work
        except Exception as error:  # noqa: BLE001  (raised below, once everything has ended)
            if not first:
                first.append(error)
                tasks.cancel_scope.cancel()
            else:
                log.warning("failed while ending after another failure", error=repr(error))

    async with anyio.create_task_group() as tasks:
        for index, work in enumerate(works):
            tasks.start_soon(run, index, work)
    if first:
        raise first[0]
    return tuple(results)


async def settle(works: Iterable[Awaitable[object]]) -> None:
    """Run all `works` at the same time, each to its own end; then raise the first failure, if any.

    For tearing down: that one thing can't be removed is no reason to leave the rest. Further failures are logged.
    """
    failures: list[Exception] = []

    async def run(work: Awaitable[object]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  (the first is raised below, the others are logged)
            failures.append(error)

    async with anyio.create_task_group() as tasks:
        for work in works:
            tasks.start_soon(run, work)
    for error in failures[1:]:
        log.warning("also failed", error=repr(error))
    if failures:
        raise failures[0]
