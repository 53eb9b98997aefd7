"""`cri-shim version`: ours, and that of a containerd."""

from __future__ import annotations

import platform

import click

from cri_shim import __version__
from cri_shim.cli.failure import plainly

_PATIENCE = 2.0  # seconds: somebody is at the terminal


@click.command(short_help="Print the version, and a containerd's.")
@click.option("--containerd-address", metavar="PATH", help="A containerd's socket: say its version, and if it will do.")
def command(containerd_address: str | None) -> None:
    """Print the version of cri-shim, and of a containerd if its socket is given.

    Exits with 1 when that containerd does not answer, or is one that cri-shim can't work with.
    """
    click.echo(f"cri-shim {__version__} (CRI v1; Python {platform.python_version()})")
    if containerd_address:
        import anyio  # noqa: PLC0415  (our own version needs no event loop)

        with plainly():
            anyio.run(_containerd, containerd_address.removeprefix("unix://"))


async def _containerd(address: str) -> None:
    from cri_shim.containerd.client import Client  # noqa: PLC0415  (as above)

    async with Client(address, patience=_PATIENCE) as client:
        click.echo(f"containerd {(await client.version()).version} at {address}")
        await client.check()
