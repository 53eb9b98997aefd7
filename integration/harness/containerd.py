"""containerd in a node: its configuration, the network configuration of its pods, and the process.

A node may run two. The first serves cri-shim; its own CRI plugin is off. The *peer* has its CRI plugin on, and is what
cri-shim is compared with. They are two processes of the same binary, with directories and sockets of their own: both
CRI implementations keep their objects in the containerd namespace `k8s.io`, and each would adopt the other's pods.
Snapshotter, runtimes, network configuration, registry, disk and kernel are the same for both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cri_shim.linux import capabilities
from integration.harness import probes
from integration.harness.daemon import Daemon

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from integration.harness.node import Node

PAUSE: Final = "registry.k8s.io/pause:3.10"
NAMESPACE: Final = "k8s.io"
CNI_CONF_DIR: Final = "/etc/cni/net.d"
CNI_SUBNET: Final = "10.189.0.0/16"
_CNI: Final = {
    "cniVersion": "1.0.0",
    "name": "bridge",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": CNI_SUBNET}]], "routes": [{"dst": "0.0.0.0/0"}]},
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
_CRI_PLUGIN: Final = "io.containerd.grpc.v1.cri"


@dataclass(frozen=True)
class Place:
    """Where one containerd keeps its things in the node."""

    root: str
    state: str
    config: str
    log: str
    serves_cri: bool

    @property
    def socket(self) -> str:
        """The socket that it listens on."""
        return f"{self.state}/containerd.sock"


MAIN: Final = Place(
    root="/var/lib/containerd",
    state="/run/containerd",
    config="/etc/containerd/config.toml",
    log="/var/log/containerd.log",
    serves_cri=False,
)
PEER: Final = Place(
    root="/var/lib/containerd-peer",
    state="/run/containerd-peer",
    config="/etc/containerd/peer.toml",
    log="/var/log/containerd-peer.log",
    serves_cri=True,
)


@dataclass(frozen=True)
class Changes:
    """What is otherwise than usual in the configuration of everybody.

    `systemd_cgroup` is for both handlers. `settings` are of the CRI's runtime table, `images` of its images table;
    `more` is TOML that is added to it all.
    """

    default_handler: str = "runc"
    settings: Mapping[str, object] = field(default_factory=dict)
    images: Mapping[str, object] = field(default_factory=dict)
    more: str = ""
    systemd_cgroup: bool = False


NO_CHANGES: Final = Changes()


class Containerd:
    """One containerd of a node: `daemon` starts and stops it."""

    def __init__(self, node: Node, place: Place = MAIN, changes: Changes = NO_CHANGES) -> None:
        """Write its configuration."""
        self.node = node
        self.place = place
        node.write(place.config, config(place, changes))
        answers = probes.serves_cri if place.serves_cri else probes.connects
        self.daemon = Daemon(node, ["containerd", "--config", place.config], place.log, lambda: answers(self.socket))

    @property
    def socket(self) -> Path:
        """Its socket as the host sees it."""
        return self.node.path(self.place.socket)

    def ctr(self, *arguments: str, namespace: str = NAMESPACE) -> str:
        """Output of containerd's own client."""
        command: Sequence[str] = ["ctr", "--address", self.place.socket, "--namespace", namespace, *arguments]
        return self.node.run(command).stdout


def write_network(node: Node) -> None:
    """Write the pods' network configuration: a bridge, addresses by host-local, host ports by portmap."""
    node.write(f"{CNI_CONF_DIR}/10-bridge.conflist", json.dumps(_CNI, indent=2) + "\n")


def config(place: Place, changes: Changes = NO_CHANGES) -> str:
    """The configuration that containerd and cri-shim both read; what isn't here is containerd's default."""
    disabled = "" if place.serves_cri else f"disabled_plugins = ['{_CRI_PLUGIN}']\n"
    # Without CAP_SYS_RESOURCE no score below one's own can be set, and a sandbox's is -998.
    restrict = {"restrict_oom_score_adj": "CAP_SYS_RESOURCE" not in capabilities.effective()}
    runtime = _table({**restrict, **changes.settings})
    systemd = "true" if changes.systemd_cgroup else "false"
    images = _table({"stats_collect_period": 1, **changes.images})
    return f"""version = 3
root = '{place.root}'
state = '{place.state}'
{disabled}
[grpc]
  address = '{place.socket}'

[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
{images}  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '{PAUSE}'
  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = '/etc/containerd/certs.d'

[plugins.'io.containerd.cri.v1.runtime']
{runtime}  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = '{changes.default_handler}'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = 'io.containerd.runc.v2'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        SystemdCgroup = {systemd}
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.crun]
      runtime_type = 'io.containerd.runc.v2'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.crun.options]
        BinaryName = '/usr/bin/crun'
        SystemdCgroup = {systemd}
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['/opt/cni/bin']
    conf_dir = '{CNI_CONF_DIR}'
{changes.more}"""


def _table(settings: Mapping[str, object]) -> str:
    """Lines of a TOML table; for what is set here, JSON is TOML."""
    return "".join(f"  {key} = {json.dumps(value)}\n" for key, value in settings.items())
