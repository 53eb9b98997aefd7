"""A node for the bench: cri-shim on one containerd, containerd's own CRI plugin in another, side by side."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio import to_thread

from bench.logs import LINES
from integration.harness.assembly import running_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from integration.harness.registry import Registry


@dataclass(frozen=True)
class BenchNode:
    """Where the two servers answer, their processes in this process's pid namespace, and where they pull from."""

    shim_socket: str
    shim_pid: int
    peer_socket: str
    peer_pid: int
    registry: Registry
    pid: int  # of a process in the node
    root: Path  # as this process sees it
    log_root: str = "/var/log/pods"


@asynccontextmanager
async def bench_node() -> AsyncIterator[BenchNode]:
    """A node with both; gone at the end.

    Two containerds of one version, one file system and one network: in a single one, each CRI server would adopt the
    other's pods and sweep its files.
    """
    manager = running_node(shim=True, peer=True)
    running = await to_thread.run_sync(manager.__enter__)
    try:
        shim, peer = running.shim, running.peer
        assert shim is not None
        assert peer is not None
        running.node.write(LINES, ("x" * 99 + "\n") * 10_000)
        yield BenchNode(
            str(shim.socket),
            shim.daemon.pid,
            str(peer.socket),
            peer.daemon.pid,
            running.registry,
            running.node.pid,
            running.node.root,
        )
    finally:
        await to_thread.run_sync(lambda: manager.__exit__(None, None, None))
