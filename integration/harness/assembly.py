"""A whole node: root file system, registry with images, containerd, and one or both CRI implementations."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from integration.harness import rootfs, this_machine
from integration.harness.containerd import MAIN, NO_CHANGES, PEER, Changes, Containerd, write_network
from integration.harness.errors import HarnessError
from integration.harness.faults import SOCKET as FAULTS
from integration.harness.faults import FaultProxy
from integration.harness.node import DISKS, Bind, Node, NodePlan
from integration.harness.registry import Registry
from integration.harness.shim import Shim, source_binds
from integration.images import build as images

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["RunningNode", "prepare", "running_node"]


@dataclass(frozen=True)
class RunningNode:
    """A node with what runs in it; `shim` and `peer` are there when they were asked for."""

    node: Node
    registry: Registry
    containerd: Containerd
    shim: Shim | None
    peer: Containerd | None
    faults: FaultProxy | None = None

    @property
    def shim_endpoint(self) -> str:
        """cri-shim's CRI endpoint, for any client on the host."""
        if self.shim is None:
            raise HarnessError("this node runs no cri-shim")
        return f"unix://{self.shim.socket}"

    @property
    def peer_endpoint(self) -> str:
        """The CRI endpoint of containerd's own plugin, for any client on the host."""
        if self.peer is None:
            raise HarnessError("this node runs no containerd with its own CRI")
        return f"unix://{self.peer.socket}"

    def logs(self) -> dict[str, str]:
        """The end of each daemon's log."""
        daemons = [self.registry.daemon, self.containerd.daemon]
        daemons += [one.daemon for one in (self.shim, self.peer) if one is not None]
        return {daemon.log: daemon.log_end() for daemon in daemons}


@contextlib.contextmanager
def running_node(
    *,
    shim: bool = True,
    peer: bool = False,
    wheel: Path | None = None,
    binds: Sequence[Bind] = (),
    shim_arguments: Sequence[str] = (),
    shim_environment: Mapping[str, str] | None = None,
    changes: Changes = NO_CHANGES,
    faults: bool = False,
    disks: Sequence[str] = (),
) -> Iterator[RunningNode]:
    """Start a node with a registry and containerd, `shim` or `peer` or both; it is gone at the end.

    cri-shim runs from `wheel` (or $CRI_SHIM_WHEEL) when there is one, else from the source tree. `changes` are made to
    the configuration of everybody, and `disks` are further directories that are no overlay. With `faults`, cri-shim
    reaches containerd through a proxy that can let a call go wrong. Raises `HarnessError` when the machine can't, or
    something doesn't start.
    """
    wheel = wheel or _wheel_of_environment()
    if faults:
        shim_arguments = (*shim_arguments, "--containerd-address", FAULTS)
    shown = (*binds, *(() if wheel else source_binds()))
    plan = NodePlan(layers=prepare(wheel), binds=shown, disks=(*DISKS, *disks))
    with Node.start(plan, whole=this_machine.wanted()) as node:
        write_network(node)
        running = RunningNode(
            node=node,
            registry=Registry(node),
            containerd=Containerd(node, MAIN, changes),
            shim=Shim(node, from_wheel=wheel is not None, arguments=shim_arguments, environment=shim_environment)
            if shim
            else None,
            peer=Containerd(node, PEER, changes) if peer else None,
            faults=FaultProxy(node.path(FAULTS), node.path(MAIN.socket)) if faults else None,
        )
        try:
            _start(running)
            yield running
        finally:
            if running.faults:
                running.faults.close()


def prepare(wheel: Path | None = None) -> tuple[Path, ...]:
    """Build what is built once, as far as it isn't there; returns a node's layers, topmost first."""
    wheel = wheel or _wheel_of_environment()
    return images.layer(), *(rootfs.with_wheel(wheel) if wheel else rootfs.python())


def _wheel_of_environment() -> Path | None:
    named = os.environ.get("CRI_SHIM_WHEEL")
    return Path(named) if named else None


def _start(running: RunningNode) -> None:
    """Start everything, what doesn't wait for another at once."""
    first = [running.registry.daemon, running.containerd.daemon]
    if running.peer:
        first.append(running.peer.daemon)
    for daemon in first:
        daemon.begin()
    for daemon in first:
        daemon.ready()
    if running.shim:
        running.shim.daemon.start()
