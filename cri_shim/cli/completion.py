"""`cri-shim completion`: what a shell needs to complete our commands and options."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_CRI_SHIM_COMPLETE"  # click's name for a program called cri-shim


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the script by which SHELL completes cri-shim's commands and options.

    \b
    bash:  cri-shim completion bash > /etc/bash_completion.d/cri-shim
    zsh:   cri-shim completion zsh > "${fpath[1]}/_cri-shim"
    fish:  cri-shim completion fish > ~/.config/fish/completions/cri-shim.fish
    """  # noqa: D301  (click reads \b as: keep the lines)
    from click.shell_completion import get_completion_class  # noqa: PLC0415  (needed for this alone)

    from cri_shim.cli import cli  # noqa: PLC0415  (which imports this module when it is called)

    if (kind := get_completion_class(shell)) is not None:  # click has all three
        click.echo(kind(cli, {}, "cri-shim", _VARIABLE).source())
