"""The `cri-shim` command: one module for each of its commands, imported when it is called."""

from __future__ import annotations

import click

from cri_shim.cli.lazy import LazyGroup

__all__ = ["cli", "main"]

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
_ORDER = (
    "serve",
    "install",
    "uninstall",
    "demo",
    "timeline",
    "images",
    "pulls",
    "smoke",
    "config",
    "completion",
    "version",
)


@click.group(cls=LazyGroup, package="cri_shim.cli", names=_ORDER, context_settings=_CONTEXT)
def cli() -> None:
    """A container runtime for Kubernetes on top of containerd: the CRI, served on a Unix socket.

    \b
    New here?  cri-shim demo                  a private node, a pod in it, everything gone afterwards
    On a node: cri-shim serve                 beside a containerd (2.0 or newer) whose own CRI plugin is off
               cri-shim install               the same by systemd: units, containerd's configuration, crictl's
               cri-shim smoke                 does a CRI endpoint, whoever's, what it should?
               cri-shim config dump           what is in force, from containerd's files and ours
    """  # noqa: D301  (click reads \b as: keep the lines)


def main() -> None:
    """Run the command line of this process; exits with 0, 1 for a failure, or 2 for what was asked wrongly."""
    cli(prog_name="cri-shim")
