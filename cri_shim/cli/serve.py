"""`cri-shim serve`: the CRI on a Unix socket, until SIGTERM or SIGINT."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING

import click

from cri_shim.cli.failure import Misconfigured, plainly
from cri_shim.cli.settings import settings_of, settings_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio import CancelScope
    from anyio.abc import TaskStatus

    from cri_shim.config import Loaded


@click.command(short_help="Serve the CRI on a Unix socket, beside a containerd.")
@settings_options
def command(files: tuple[str, ...], **options: str | None) -> None:
    """Serve the CRI beside a containerd (2.0 or newer) whose own CRI plugin is off.

    The settings are containerd's, read from containerd's own files; an option wins over them. SIGTERM and SIGINT end
    it when the calls under way are answered; pods go on running, and the next start finds them. A second signal ends
    it at once. SIGHUP has the files read again, and takes over log_level; the rest waits for the next start.

    \b
    A kubelet:  --container-runtime-endpoint=unix:///run/cri-shim/cri-shim.sock
    crictl:     crictl --runtime-endpoint unix:///run/cri-shim/cri-shim.sock pods

    Exits with 0 when told to end, 1 when it can't serve, 2 for a wrong option or configuration.
    """  # noqa: D301  (click reads \b as: keep the lines)
    read = partial(settings_of, files, **options)
    loaded = read()
    with plainly():
        run(loaded, read)


def run(loaded: Loaded, read: Callable[[], Loaded]) -> None:
    """Log, and serve until a signal; `read` reads the settings again. Raises what `cri_shim.node.serve` does."""
    # Only now: a wrong option should not wait for these.
    import anyio  # noqa: PLC0415  (see above)
    import structlog  # noqa: PLC0415  (see above)

    from cri_shim.observe.logging import configure  # noqa: PLC0415  (see above)
    from cri_shim.observe.tracing import exporting  # noqa: PLC0415  (see above)

    shim = loaded.settings.shim
    configure(shim.log_level, shim.log_format)
    log = structlog.get_logger("cri_shim")
    for warning in loaded.warnings:
        log.warning("configuration", problem=warning)
    with exporting():
        anyio.run(_serve, loaded, read, backend_options={"use_uvloop": True})


async def _serve(loaded: Loaded, read: Callable[[], Loaded]) -> None:
    import anyio  # noqa: PLC0415  (as in `run`)

    from cri_shim.node import serve  # noqa: PLC0415  (the whole server)

    async with anyio.create_task_group() as tasks:
        await tasks.start(_hear, tasks.cancel_scope, read)
        await serve(loaded.settings)


async def _hear(scope: CancelScope, read: Callable[[], Loaded], *, task_status: TaskStatus[None]) -> None:
    """Cancel `scope` at the first signal to end; the second one finds the system's own handling."""
    import anyio  # noqa: PLC0415  (as in `run`)
    import structlog  # noqa: PLC0415  (as in `run`)

    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            if number is not signal.SIGHUP:
                structlog.get_logger("cri_shim").info("ending", signal=signal.Signals(number).name)
                break
            await anyio.to_thread.run_sync(_read_again, read)
    scope.cancel()


def _read_again(read: Callable[[], Loaded]) -> None:
    """Take over what can change while serving. A configuration that can't be used changes nothing."""
    import structlog  # noqa: PLC0415  (as in `run`)

    from cri_shim.observe.logging import set_level  # noqa: PLC0415  (as in `run`)

    log = structlog.get_logger("cri_shim")
    try:
        shim = read().settings.shim
    except Misconfigured as error:
        log.error("configuration left as it was", problem=error.message)
    else:
        set_level(shim.log_level)
        log.info("configuration read again", log_level=shim.log_level)
