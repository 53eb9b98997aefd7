"""A node whose root file system is the built image: what kind does to it at first, and what its systemd would start.

systemd itself is not there, since it takes a cgroup hierarchy of its own. Its units are read, and done: the socket is
listened at and handed over by systemd's own `systemd-socket-activate`, a service counts as started when it has said so.
"""

from __future__ import annotations

import json
import os
import socket
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import tomlkit

from cri_shim.linux import capabilities
from integration.harness import probes
from integration.harness.daemon import Daemon
from integration.harness.node import Node, NodePlan
from integration.kind_node.network import NETWORK
from integration.kind_node.units import Unit

if TYPE_CHECKING:
    from pathlib import Path

CONTAINERD, SHIM, SHIM_SOCKET = "containerd.service", "cri-shim.service", "cri-shim.socket"
CONFIG: Final = "/etc/containerd/config.toml"


@dataclass(eq=False)
class Notified:
    """What a service says to systemd. Source: sd_notify(3)."""

    node: Node
    name: str
    said: list[str] = field(default_factory=list)
    _socket: socket.socket | None = None

    @property
    def path(self) -> str:
        """$NOTIFY_SOCKET."""
        return f"/run/notify-{self.name}"

    def listen(self) -> None:
        """Forget what was said, and hear a service that is started from now on."""
        self.close()
        self.said.clear()
        place = self.node.path(self.path)
        place.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(place))

    def ready(self) -> bool:
        """Whether the service has started."""
        assert self._socket
        try:
            while True:
                self.said.extend(self._socket.recv(4096).decode().splitlines())
        except BlockingIOError:
            return "READY=1" in self.said

    def close(self) -> None:
        if self._socket:
            self._socket.close()


class KindNode:
    """`containerd` and `shim` are its daemons; `endpoint` is the path that kubeadm and kind know."""

    endpoint = "/run/containerd/containerd.sock"

    def __init__(self, node: Node) -> None:
        self.node = node
        self._heard = [Notified(node, name) for name in (CONTAINERD, SHIM)]
        containerd, shim = (Unit.read(node.root, name) for name in (CONTAINERD, SHIM))
        self.shim_socket = Unit.read(node.root, SHIM_SOCKET).stream
        self.containerd = self._daemon(containerd, self._heard[0], [])
        notifying = f"--setenv=NOTIFY_SOCKET={self._heard[1].path}"
        passing = ["systemd-socket-activate", f"--listen={self.shim_socket}", notifying]
        self.shim = self._daemon(shim, self._heard[1], passing)

    @classmethod
    def boot(cls, image: Path) -> Self:
        """A node with everything started, in the order of the units."""
        kind = cls(Node.start(NodePlan((image,), disks=("/var/lib/containerd",))))
        try:
            kind.node.write("/etc/cni/net.d/10-kindnet.conflist", json.dumps(NETWORK))
            kind.as_kind_configures()
            kind.start()
        except BaseException:
            kind.close()
            raise
        return kind

    def as_kind_configures(self) -> None:
        """Change containerd's file as kind does: its entrypoint by sed, a cluster's patches by writing it anew."""
        path = self.node.path(CONFIG)
        text = path.read_text()
        assert 'snapshotter = "overlayfs"' in text  # what the entrypoint looks for
        if "CAP_SYS_RESOURCE" not in capabilities.effective():
            text = text.replace("restrict_oom_score_adj = false", "restrict_oom_score_adj = true")
        settings = tomllib.loads(text)
        runtimes = settings["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]
        for runtime in runtimes.values():
            runtime["options"]["SystemdCgroup"] = False  # systemd is not there
        path.write_text(tomlkit.dumps(settings))

    def start(self) -> None:
        """As a boot does: the socket first, then containerd, then whoever is behind the socket."""
        self.node.path(os.path.dirname(self.shim_socket)).mkdir(parents=True, exist_ok=True)
        for heard in self._heard:
            heard.listen()
        self.shim.begin()
        self.containerd.start()
        self.shim.ready()

    def restart_containerd(self) -> None:
        """`systemctl restart containerd`: whoever is a part of it (PartOf=) is restarted with it."""
        self.shim.stop()
        self.containerd.stop()
        self.start()

    def go_back(self) -> None:
        """Have containerd serve the CRI itself, as before `cri-shim install`."""
        self.shim.stop()
        self.containerd.stop()
        self.node.run(["cri-shim", "uninstall", "--root", "/", "--apply"])
        self._heard[0].listen()
        self.containerd.start()

    def return_to_us(self) -> None:
        """Undo `go_back`."""
        self.containerd.stop()
        self.node.run(["cri-shim", "install", "--drop-in", "--root", "/", "--apply"])
        self.start()

    def close(self) -> None:
        for heard in self._heard:
            heard.close()
        self.node.close()

    def ctr(self, *arguments: str, image: bytes | None = None) -> str:
        """Output of containerd's own client, as kind calls it: without an address."""
        return self.node.run(["ctr", "--namespace=k8s.io", *arguments], input=image).stdout

    @property
    def socket(self) -> Path:
        """The endpoint, as the host sees it."""
        return self.node.path(self.endpoint)

    def _daemon(self, unit: Unit, heard: Notified, before: list[str]) -> Daemon:
        def answers() -> bool:
            # The first connection starts what is behind a socket.
            return (not before or probes.connects(self.node.path(self.shim_socket))) and heard.ready()

        environment = {} if before else {"NOTIFY_SOCKET": heard.path}  # systemd-socket-activate would speak, too
        return Daemon(self.node, [*before, *unit.command], f"/var/log/{unit.name}.log", answers, environment)
