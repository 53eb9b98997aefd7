"""`cri-shim pulls`: the pulls that are under way on a node, as they go."""

from __future__ import annotations

import click

from cri_shim.cli.endpoint import endpoint_option
from cri_shim.cli.failure import plainly


@click.command(short_help="Show the pulls that are under way, as they go.")
@endpoint_option
@click.option("--once", is_flag=True, help="Print how far they are, as JSON, and end.")
def command(endpoint: str, *, once: bool) -> None:
    """Show the pulls that are under way on this node, a bar for each layer, until Ctrl-C.

    Where the output is no terminal, a line is printed for each layer that is done. Exits with 1 when the endpoint
    can't be reached, or is another runtime's, which doesn't tell.
    """
    import anyio  # noqa: PLC0415  (--help should not wait for it)

    with plainly():
        anyio.run(_show, endpoint, once)


async def _show(endpoint: str, once: bool) -> None:  # noqa: FBT001  (anyio.run hands it on)
    import msgspec  # noqa: PLC0415  (as above)

    from cri_shim.cli.cri_client import connect  # noqa: PLC0415  (as above)
    from cri_shim.cli.pull_bars import Bars, follow, under_way  # noqa: PLC0415  (as above)

    async with connect(endpoint) as client:
        if once:
            click.echo(msgspec.json.encode(await under_way(client)))
            return
        with Bars() as bars:
            await follow(client, bars)
