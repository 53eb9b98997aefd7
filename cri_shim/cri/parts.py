"""What every verb works with: the parts of the node, built and owned by `cri_shim.node`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cri_shim.api.runtime import v1 as cri
    from cri_shim.cni import Cni
    from cri_shim.config.settings import Settings
    from cri_shim.containerd.client import Client
    from cri_shim.cri.container.accounts import AccountsCache
    from cri_shim.cri.image.pulls import Pulls
    from cri_shim.cri.image.registries import Registries
    from cri_shim.cri.image.usage import SnapshotUsage
    from cri_shim.events.broadcast import Broadcast
    from cri_shim.events.exits import ExitWatch
    from cri_shim.events.monitor import ContainerdHealth
    from cri_shim.linux.cdi import CdiSpecs
    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.selinux import Contexts
    from cri_shim.oci.spec import Spec
    from cri_shim.state.container import Container
    from cri_shim.state.flights import Flights
    from cri_shim.state.images import ImageStore
    from cri_shim.state.names import NameIndex
    from cri_shim.state.paths import Paths
    from cri_shim.state.sandbox import Sandbox
    from cri_shim.state.selinux_levels import SelinuxLevels
    from cri_shim.state.store import Store
    from cri_shim.stats.collector import Collector


@dataclass(frozen=True)
class Parts:
    """The parts, one of each; `networks` has one for each handler that brings its own CNI directory, and ""."""

    settings: Settings
    containerd: Client
    health: ContainerdHealth
    paths: Paths
    facts: NodeFacts
    architecture: str  # this machine's, by Go's name: amd64, arm64
    networks: Mapping[str, Cni]
    base_specs: Mapping[str, Spec]  # by handler: its `base_runtime_spec`, read at start
    runtime_handlers: list[cri.RuntimeHandler]  # asked for once, at start
    sandboxes: Store[Sandbox]
    containers: Store[Container]
    sandbox_names: NameIndex
    container_names: NameIndex
    selinux: Contexts | None  # the policy's, for containers; None without SELinux
    selinux_levels: SelinuxLevels
    images: ImageStore
    registries: Registries
    pulls: Pulls
    snapshot_usage: SnapshotUsage
    accounts: AccountsCache
    cdi: CdiSpecs
    flights: Flights
    exits: ExitWatch
    events: Broadcast
    collector: Collector

    def network(self, handler: str) -> Cni:
        """The network of a handler's pods: its own, else the node's."""
        name = handler or self.settings.runtime.containerd.default_runtime_name
        return self.networks.get(name) or self.networks[""]

    def containers_of(self, sandbox_id: str) -> list[Container]:
        """The containers of a pod, in no particular order."""
        return [container for container in self.containers if container.metadata.sandbox_id == sandbox_id]

    def containers_by_sandbox(self, sandboxes: Iterable[Sandbox]) -> dict[str, list[Container]]:
        """The containers of each of `sandboxes`, by its id."""
        found: dict[str, list[Container]] = {sandbox.id: [] for sandbox in sandboxes}
        for container in self.containers:
            if (pod := found.get(container.metadata.sandbox_id)) is not None:
                pod.append(container)
        return found
