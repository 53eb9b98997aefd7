"""cri-shim ended while it works, and started again."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread
from grpclib import GRPCError
from grpclib.exceptions import StreamTerminatedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from integration.harness.assembly import RunningNode


async def restart(running: RunningNode, how: str) -> None:
    """Stop cri-shim or kill it, and start it again; the next call connects anew."""
    assert running.shim is not None
    daemon = running.shim.daemon  # in a thread, so that the client sees its connection go
    await to_thread.run_sync(daemon.stop if how == "graceful" else daemon.kill)
    await to_thread.run_sync(daemon.start)


async def killed_during(running: RunningNode, call: Callable[[], Awaitable[object]], after: float) -> None:
    """Begin `call`, kill cri-shim `after` so many seconds, start it again."""
    assert running.shim is not None
    daemon = running.shim.daemon

    async def attempt() -> None:
        with suppress(GRPCError, StreamTerminatedError, OSError):  # answered by nobody, as it should be
            await call()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(attempt)
        await anyio.sleep(after)
        await to_thread.run_sync(daemon.kill)
    await to_thread.run_sync(daemon.start)
