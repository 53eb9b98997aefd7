"""`cri-shim serve`: the CRI on a Unix socket, until SIGTERM or SIGINT."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import click

from cri_shim.cli.failure import Misconfigured, plainly
from cri_shim.cli.settings import settings_of, settings_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio import CancelScope
    from anyio.abc import TaskStatus

    from cri_shim.config import Loaded, Settings
    from cri_shim.config.reloads import Reloads
    from cri_shim.observe.supervisor import Supervisor


@click.command(short_help="Serve the CRI on a Unix socket, beside a containerd.")
@settings_options
def command(files: tuple[str, ...], **options: str | None) -> None:
    """Serve the CRI beside a containerd (2.0 or newer) whose own CRI plugin is off.

    The settings are containerd's, read from containerd's own files; an option wins over them. SIGTERM and SIGINT end
    it when the calls under way are answered; pods go on running, and the next start finds them. A second signal ends
    it at once. SIGHUP has the files read again, takes over log_level and how registries are reached, and says of the
    rest when it will take effect; CNI configuration, hosts.toml and CDI specifications are seen without it. systemd is
    told how things stand (Type=notify), its watchdog is fed, and its socket is taken (LISTEN_FDS).

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
    import faulthandler  # noqa: PLC0415  (see above)

    import anyio  # noqa: PLC0415  (see above)
    import structlog  # noqa: PLC0415  (see above)

    from cri_shim.observe.logging import configure  # noqa: PLC0415  (see above)
    from cri_shim.observe.supervisor import Supervisor  # noqa: PLC0415  (see above)
    from cri_shim.observe.tracing import exporting  # noqa: PLC0415  (see above)

    shim = loaded.settings.shim
    configure(shim.log_level, shim.log_format)
    faulthandler.enable(2)  # a watchdog's SIGABRT, for one, shows where each thread stood
    log = structlog.get_logger("cri_shim")
    for warning in loaded.warnings:
        log.warning("configuration", problem=warning)
    with exporting(), closing(Supervisor(os.environ)) as supervisor:
        anyio.run(_serve, loaded, read, supervisor, backend_options={"use_uvloop": True})


async def _serve(loaded: Loaded, read: Callable[[], Loaded], supervisor: Supervisor) -> None:
    import anyio  # noqa: PLC0415  (as in `run`)

    from cri_shim.config.reloads import Reloads  # noqa: PLC0415  (as in `run`)
    from cri_shim.node import serve  # noqa: PLC0415  (the whole server)

    async with anyio.create_task_group() as beating:
        beating.start_soon(supervisor.beat)  # until the very end
        async with anyio.create_task_group() as tasks:
            reloads = Reloads()
            await tasks.start(_hear, tasks.cancel_scope, supervisor, _Reread(loaded.settings, read, reloads))
            await serve(loaded.settings, supervisor, reloads)
        beating.cancel_scope.cancel()


async def _hear(scope: CancelScope, supervisor: Supervisor, reread: _Reread, *, task_status: TaskStatus[None]) -> None:
    """Cancel `scope` at the first signal to end; the second one finds the system's own handling."""
    import anyio  # noqa: PLC0415  (as in `run`)
    import structlog  # noqa: PLC0415  (as in `run`)

    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            if number is not signal.SIGHUP:
                structlog.get_logger("cri_shim").info("ending", signal=signal.Signals(number).name)
                break
            supervisor.reloading()
            await anyio.to_thread.run_sync(reread)
            supervisor.reloaded()
    supervisor.stopping()
    scope.cancel()


class _Reread:
    """Reads the settings again, takes over what can change while serving, and tells of the rest."""

    def __init__(self, in_force: Settings, read: Callable[[], Loaded], reloads: Reloads) -> None:
        self._in_force = in_force
        self._read = read
        self._reloads = reloads

    def __call__(self) -> None:
        """A configuration that can't be used changes nothing."""
        import structlog  # noqa: PLC0415  (as in `run`)

        from cri_shim.config.difference import differences, with_reloaded  # noqa: PLC0415  (needed for this alone)
        from cri_shim.observe.logging import set_level  # noqa: PLC0415  (as in `run`)

        log = structlog.get_logger("cri_shim")
        try:
            found = self._read()
            self._reloads(found.settings)
        except (Misconfigured, OSError) as error:
            log.error("configuration left as it was", problem=getattr(error, "message", str(error)))
            return
        set_level(found.settings.shim.log_level)
        for warning in found.warnings:
            log.warning("configuration", problem=warning)
        different = differences(self._in_force, found.settings)
        for one in different:
            log.info("setting differs", key=one.key, before=one.before, after=one.after, takes_effect=one.effect)
        self._in_force = with_reloaded(self._in_force, found.settings)
        log.info("configuration read again", differences=len(different), log_level=found.settings.shim.log_level)
