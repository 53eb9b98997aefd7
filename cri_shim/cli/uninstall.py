"""`cri-shim uninstall`: what `cri-shim install` did, undone."""

from __future__ import annotations

import click

from cri_shim.cli.failure import Failure, plainly


@click.command(short_help="Undo what `cri-shim install` did.")
@click.option("--apply", is_flag=True, help="Do it; without this, only what would be done is shown.")
@click.option(
    "--root",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="The root directory of an image, as given to `cri-shim install`.",
)
def command(root: str | None, *, apply: bool) -> None:
    """Give the node's CRI back to containerd's own plugin. Pods that run go on.

    What is undone is what /etc/cri-shim/installed.json says was done. A file that somebody has changed since is left as
    it is, and named; the command then ends with 1, and can be run again.
    """
    from cri_shim.install import apply as applied  # noqa: PLC0415  (--help should not wait for it)
    from cri_shim.install.found import read, recorded, systemd_runs  # noqa: PLC0415  (as above)
    from cri_shim.install.shown import shown  # noqa: PLC0415  (as above)
    from cri_shim.install.undo import undoing  # noqa: PLC0415  (as above)
    from cri_shim.install.values import MANIFEST  # noqa: PLC0415  (as above)

    with plainly(OSError):
        place = root or "/"
        manifest = recorded(place)
        if manifest is None:
            click.echo(f"nothing to do: there is no {MANIFEST}")
            return
        contents = {change.path: read(place, change.path) for change in manifest.changes}
        found = undoing(manifest, contents, live=root is None and systemd_runs())
        click.echo(shown(found.plan), nl=False)
        if not apply:
            click.echo("\nnothing was done: add --apply to do it")
            return
        applied.uninstall(place, found, manifest)
        if found.left:
            raise Failure("not all of it could be undone: see the notes above")
