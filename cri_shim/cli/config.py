"""`cri-shim config`: what is in force, what would be without any file, and what all of it means."""

from __future__ import annotations

import click

from cri_shim.cli.settings import settings_of, settings_options
from cri_shim.config import default
from cri_shim.config import dump as as_toml
from cri_shim.config.loader import CONTAINERD_FILE


@click.group(short_help="Show the configuration and what it means.")
def command() -> None:
    """Show the configuration and its reference; bring it over from containerd's file."""


@command.command()
@settings_options
def dump(files: tuple[str, ...], **options: str | None) -> None:
    """Print the settings that `cri-shim serve` with the same options would use, as TOML.

    containerd's layout, version 3; what only cri-shim has is in [plugins."io.cri-shim.v1"]. Passwords of registries
    are printed, too. Warnings go to standard error.
    """
    loaded = settings_of(files, **options)
    for warning in loaded.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(as_toml(loaded.settings), nl=False)


@command.command("default")
def defaults() -> None:
    """Print every setting with its default, as TOML: a file to start from."""
    click.echo(as_toml(default()), nl=False)


@command.command()
@click.option(
    "--config", "files", metavar="FILE", multiple=True, help=f"containerd's file.  [default: {CONTAINERD_FILE}]"
)
def migrate(files: tuple[str, ...]) -> None:
    """Print cri-shim's own configuration file for what an existing containerd configuration says.

    It has what differs from the defaults, each with the default and the place that it comes from, and comments on what
    has no effect in cri-shim, with the reason, and on what only containerd acts on and so stays in its file. Passwords
    of registries are printed, too.
    """
    from cri_shim.config.handover import handover  # noqa: PLC0415  (needed for this alone)

    files = files or (CONTAINERD_FILE,)
    click.echo(handover(settings_of(files), files), nl=False)


@command.command()
def reference() -> None:
    """Print the reference of all settings, as Markdown: each key with its type, its default and what it is for."""
    from cri_shim.config.reference import reference as as_markdown  # noqa: PLC0415  (needed for this alone)

    click.echo(as_markdown(), nl=False)
