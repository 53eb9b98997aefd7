"""A whole run, from the endpoint to the result, whatever interrupts it."""

from __future__ import annotations

import os
import signal
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread
from grpclib.exceptions import GRPCError

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import FailedPrecondition
from cri_shim.smoke import directories, sweep
from cri_shim.smoke import session as sessions
from cri_shim.smoke.endpoint import connected
from cri_shim.smoke.image import layer, registry
from cri_shim.smoke.image.own import TOOLS
from cri_shim.smoke.report.progress import Watcher
from cri_shim.smoke.report.result import Result
from cri_shim.smoke.run import Rules, run_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import TaskStatus
    from rich.console import Console

    from cri_shim.smoke.check import Check
    from cri_shim.smoke.endpoint import Endpoint
    from cri_shim.smoke.image.own import OwnImages
    from cri_shim.smoke.session import Session

_CLEAN_UP_SECONDS: Final = 60.0
_PULL_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Settings:
    """What a run is asked for; `image` is "" for the run's own one."""

    endpoint: str
    checks: tuple[Check, ...]
    image_endpoint: str = ""
    image: str = ""
    registry_port: int = 0
    handler: str = ""
    rules: Rules = field(default_factory=Rules)


@dataclass
class Interruption:
    """Whether a signal has come, and the scope that it cancels; a second one ends the process where it is."""

    console: Console
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    signal: int = 0

    async def watch(self, *, task_status: TaskStatus[None]) -> None:
        """Wait for signals until cancelled."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                if self.signal:
                    self.console.print("ended before all was removed; `cri-shim smoke --sweep` removes the rest")
                    os._exit(128 + number)
                self.signal = number
                self.console.print(f"{signal.Signals(number).name}: removing what was made …")
                self.scope.cancel()


async def run(settings: Settings, console: Console) -> tuple[Result, int]:
    """The result, and the signal that has cut it short, or 0. What goes on is shown on `console`.

    Raises Unavailable when the endpoint can't be reached, FailedPrecondition when nothing can be tested on it.
    """
    begin = time.monotonic()
    async with connected(settings.endpoint, settings.image_endpoint) as endpoint, _interruptible(console) as stopped:
        watcher = Watcher(console, len(settings.checks))
        left: list[str] = []
        name = sessions.new_run()
        with stopped.scope:
            await _tell_of_remains(endpoint, settings, console)
            async with _session(endpoint, settings, name, left) as session:
                with watcher:
                    await run_all(session, settings.checks, settings.rules, watcher)
        order = {check.id: number for number, check in enumerate(settings.checks)}
        result = Result(
            endpoint=settings.endpoint,
            runtime=endpoint.product[0],
            version=endpoint.product[1],
            run=name,
            image=settings.image or "own",
            seconds=time.monotonic() - begin,
            outcomes=tuple(sorted(watcher.outcomes, key=lambda outcome: order[outcome.check.id])),
            not_run=len(settings.checks) - len(watcher.outcomes),
            left=tuple(left),
        )
        return result, stopped.signal


async def sweep_up(address: str, image_address: str, console: Console) -> list[str]:
    """Remove what earlier runs have left; what could not be removed, and why. Raises Unavailable."""
    async with connected(address, image_address) as endpoint:
        found = await sweep.remains(endpoint)
        console.print(f"removing what earlier runs have left: {found}", highlight=False)
        return await sweep.sweep(endpoint, found)


async def _tell_of_remains(endpoint: Endpoint, settings: Settings, console: Console) -> None:
    if found := await sweep.remains(endpoint):
        command = f"cri-shim smoke --endpoint {settings.endpoint} --sweep"
        console.print(
            f"earlier runs have left something ({found}); `{command}` removes it", highlight=False, soft_wrap=True
        )


@asynccontextmanager
async def _interruptible(console: Console) -> AsyncIterator[Interruption]:
    stopped = Interruption(console)
    async with anyio.create_task_group() as tasks:
        await tasks.start(stopped.watch)
        yield stopped
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def _session(endpoint: Endpoint, settings: Settings, name: str, left: list[str]) -> AsyncIterator[Session]:
    """The run's directory and images; in the end all that it has made is removed, and `left` is what can't be."""
    async with AsyncExitStack() as made:
        try:
            await made.enter_async_context(directories.made(endpoint.place, name))
        except OSError as error:
            raise FailedPrecondition(f"{error}; the smoke test needs to be root on the node") from error
        own: OwnImages | None = None
        if not settings.image:
            root = await to_thread.run_sync(layer.build)
            own = await made.enter_async_context(registry.serving(endpoint.place, root, name, settings.registry_port))
        image = own.name(TOOLS) if own else settings.image
        try:
            await _pull(endpoint, image, settings)
            yield sessions.Session(endpoint, name, image, own, settings.handler, settings.rules.timeout)
        finally:
            with anyio.move_on_after(_CLEAN_UP_SECONDS, shield=True) as patience:
                left += await sweep.end_run(endpoint, name, own.all_names() if own else [])
            if patience.cancelled_caught:
                left.append(f"something of run {name}: the endpoint takes longer than {_CLEAN_UP_SECONDS:g} s")


async def _pull(endpoint: Endpoint, image: str, settings: Settings) -> None:
    try:
        with anyio.fail_after(_PULL_SECONDS):
            await endpoint.images.pull_image(cri.PullImageRequest(image=cri.ImageSpec(image=image)))
    except (GRPCError, TimeoutError) as error:
        reason = error.message if isinstance(error, GRPCError) else f"no answer within {_PULL_SECONDS:g} s"
        advice = "" if settings.image else (
            "\nThe runtime has to pull by plain HTTP from the smoke test's own registry on 127.0.0.1. If its mirrors "
            "or its policy stand in the way, let them make an exception for one port and name it with "
            "--registry-port, or name an image that it can pull, with a shell in it: --image"
        )  # fmt: skip
        raise FailedPrecondition(f"{image} can't be pulled: {reason}{advice}") from error
