"""`cri-shim config`: what is in force, and what would be without any file."""

from __future__ import annotations

import click

from cri_shim.cli.settings import settings_of, settings_options
from cri_shim.config import default
from cri_shim.config import dump as as_toml


@click.group()
def command() -> None:
    """Show the configuration: what is in force, or the defaults."""


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
