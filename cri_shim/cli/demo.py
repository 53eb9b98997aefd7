"""`cri-shim demo`: a private node, a pod in it, and how its start went."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from cri_shim.cli.checkout import demo_node, harness_error, sandbox_image
from cri_shim.cli.failure import plainly
from cri_shim.errors import CriError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from integration.harness.assembly import RunningNode

_ENDINGS = (signal.SIGINT, signal.SIGTERM)
_PASSED_ON = {"ignore_unknown_options": True}


@click.command(context_settings=_PASSED_ON, short_help="Run a pod on a private node, or keep the node up.")
@click.option("--serve", is_flag=True, help="Keep the node up until Ctrl-C or SIGTERM; print its CRI endpoint first.")
@click.option("--peer", is_flag=True, help="Run a second containerd in the node, with its own CRI plugin, to compare.")
@click.argument("serve_options", nargs=-1, type=click.UNPROCESSED)
def command(*, serve: bool, peer: bool, serve_options: tuple[str, ...]) -> None:
    r"""Run a pod on a private node: containerd, a registry, a network and cri-shim, apart from the rest of the machine.

    Shows the pod's log, the output of a command in it, and where each millisecond of its start went; then everything
    is gone again. Further options, such as `--log-level debug`, are handed to the node's `cri-shim serve`.

    Takes root, a source checkout, and Debian packages: `make demo` sees to these. The first run builds the node's file
    system, which is kept in $CRI_SHIM_CACHE (~/.cache/cri-shim).
    """
    begin = time.monotonic()
    with ended_by_signals(), plainly(harness_error()):
        with demo_node(peer=peer, shim_arguments=serve_options) as running:
            seconds = time.monotonic() - begin
            _keep_up(running) if serve else _show(running, seconds)
        if not serve:
            click.echo(f"\nEverything is gone again. {time.monotonic() - begin:.1f} s in all.")


def _show(running: RunningNode, seconds: float) -> None:
    import anyio  # noqa: PLC0415  (`--help` needs no event loop)

    from cri_shim.cli.demo_pod import show  # noqa: PLC0415  (as above)

    click.echo(f"A node of its own is up after {seconds:.1f} s: containerd, a registry, a bridge network, cri-shim.")
    try:
        anyio.run(show, running.shim_endpoint, running.node.path, sandbox_image())
    except CriError:  # its log goes with the node
        for name, end in running.logs().items():
            click.echo(f"── the end of {name}\n{end}", err=True)
        raise


def _keep_up(running: RunningNode) -> None:
    """Say how to reach the node, and wait for a signal."""
    from cri_shim.cli.demo_guide import guide  # noqa: PLC0415  (`--help` needs none of it)

    peer = running.peer_endpoint if running.peer else ""
    click.echo(f"CRI endpoint: {running.shim_endpoint}\n{guide(running.shim_endpoint, running.node.pid, peer)}")
    sys.stdout.flush()
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        click.echo("ending the node", err=True)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Have SIGTERM heard as Ctrl-C is; once is enough, so that a second one does not cut the clean-up short."""

    def hear(_number: int, _frame: FrameType | None) -> None:
        for ending in _ENDINGS:
            signal.signal(ending, _already)
        raise KeyboardInterrupt

    previous = {ending: signal.signal(ending, hear) for ending in _ENDINGS}
    try:
        yield
    finally:
        for ending, handler in previous.items():
            signal.signal(ending, handler)


def _already(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"already ending\n")
