"""`cri-shim install`: the node's CRI by cri-shim, started by systemd."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig

import click

from cri_shim.cli.failure import plainly

_PATIENCE = 2.0  # seconds: somebody is at the terminal


@click.command(short_help="Have systemd serve this node's CRI by cri-shim.")
@click.option("--drop-in", is_flag=True, help="Serve at containerd's own path, with containerd's services behind it.")
@click.option("--apply", is_flag=True, help="Do it; without this, only what would be done is shown.")
@click.option(
    "--root",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="The root directory of an image that is being built: its files are changed, and nothing is started.",
)
@click.option(
    "--executable",
    metavar="PATH",
    help="The cri-shim command for the unit, as the installed system sees it.  [default: this one]",
)
def command(root: str | None, executable: str | None, *, drop_in: bool, apply: bool) -> None:
    """Switch this node's CRI over from containerd's own plugin to cri-shim, and start it at boot.

    Units for systemd are written, containerd's CRI plugin (io.containerd.grpc.v1.cri, no other) is switched off, and
    crictl.yaml names cri-shim's socket: its own, or with --drop-in the one that containerd had. Pods that run go on.

    Without --apply nothing is changed: the plan is printed, with the difference to each file. What was done is kept in
    /etc/cri-shim/installed.json, and `cri-shim uninstall` undoes just that. Doing it twice changes nothing.
    A containerd that answers and is too old, or lacks a service, is refused before anything is changed.
    """
    from cri_shim.install import apply as applied  # noqa: PLC0415  (--help should not wait for it)
    from cri_shim.install.found import find  # noqa: PLC0415  (as above)
    from cri_shim.install.plan import Asked, plan  # noqa: PLC0415  (as above)
    from cri_shim.install.shown import shown  # noqa: PLC0415  (as above)

    with plainly(OSError):
        found = find(root or "/", live=root is None)
        asked = Asked("drop-in" if drop_in else "own-socket", executable or this_executable())
        planned = plan(found, asked)
        if not planned.changes:
            click.echo("nothing to do: installed already")
            return
        click.echo(shown(planned), nl=False)
        if root is None:
            _require_containerd(found.settings.containerd.address)
        if apply:
            applied.install(root or "/", planned, asked.mode, found.manifest)
        else:
            click.echo("\nnothing was done: add --apply to do it")


def _require_containerd(address: str) -> None:
    """FailedPrecondition for a containerd that cri-shim can't work with: the node would be left without a runtime."""
    import anyio  # noqa: PLC0415  (as above)

    from cri_shim.containerd.client import Client  # noqa: PLC0415  (as above)
    from cri_shim.errors import Unavailable  # noqa: PLC0415  (as above)

    async def check() -> None:
        async with Client(address, patience=_PATIENCE) as client:
            await client.check()

    try:
        anyio.run(check)
    except Unavailable:
        click.echo(f"note: nobody answers at {address}: whether that containerd will do is not known")


def this_executable() -> str:
    """The cri-shim command that runs; for `python -m cri_shim`, the one that belongs to the interpreter."""
    command = shutil.which(sys.argv[0])
    if command and os.path.basename(command) == "cri-shim":
        return os.path.abspath(command)
    return os.path.join(sysconfig.get_path("scripts"), "cri-shim")
