"""`cri-shim images pull`: pull an image through a CRI endpoint, and see it come."""

from __future__ import annotations

import click

from cri_shim.cli.endpoint import endpoint_option
from cri_shim.cli.failure import plainly


@click.group(short_help="Pull images, and see them come.")
def command() -> None:
    """Images, as the kubelet of this node sees them."""


@command.command()
@endpoint_option
@click.argument("reference")
def pull(endpoint: str, reference: str) -> None:
    """Pull REFERENCE as the kubelet does, with a bar for each layer, and print the image's id.

    Mirrors and certificates are those of the node's hosts.toml files. Exits with 1 when the pull fails.
    """
    import anyio  # noqa: PLC0415  (--help should not wait for it)

    with plainly():
        click.echo(anyio.run(_pull, endpoint, reference))


async def _pull(endpoint: str, reference: str) -> str:
    import anyio  # noqa: PLC0415  (as above)

    from cri_shim.api.runtime import v1 as cri  # noqa: PLC0415  (as above)
    from cri_shim.cli.cri_client import connect  # noqa: PLC0415  (as above)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_follow, endpoint)
        async with connect(endpoint) as client:
            answer = await client.images.pull_image(cri.PullImageRequest(image=cri.ImageSpec(image=reference)))
        tasks.cancel_scope.cancel()
    return answer.image_ref


async def _follow(endpoint: str) -> None:
    """Show what comes; a runtime that doesn't tell pulls all the same."""
    from cri_shim.cli.cri_client import connect  # noqa: PLC0415  (as above)
    from cri_shim.cli.pull_bars import Bars, follow  # noqa: PLC0415  (as above)
    from cri_shim.errors import Unimplemented  # noqa: PLC0415  (as above)

    try:
        async with connect(endpoint) as client:
            with Bars() as bars:
                await follow(client, bars)
    except Unimplemented as error:
        click.echo(str(error), err=True)
