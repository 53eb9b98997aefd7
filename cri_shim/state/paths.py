"""Where files of sandboxes and containers are: the directories of containerd's CRI plugin.

Both names say `grpc.v1.cri`, as the plugin's still do although its id changed in containerd 2.0.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Paths:
    """`root` is durable (`/var/lib/containerd/io.containerd.grpc.v1.cri`), `state` ends with the boot (`/run/…`)."""

    root: str
    state: str

    def sandbox_root(self, sandbox_id: str) -> str:
        """hostname, hosts and resolv.conf of the pod."""
        return os.path.join(self.root, "sandboxes", sandbox_id)

    def sandbox_state(self, sandbox_id: str) -> str:
        """What must not outlive a boot: shm and pinned namespaces."""
        return os.path.join(self.state, "sandboxes", sandbox_id)

    def shm(self, sandbox_id: str) -> str:
        """The tmpfs that the pod's containers share as /dev/shm."""
        return os.path.join(self.sandbox_state(sandbox_id), "shm")

    def image_volumes(self, sandbox_id: str) -> str:
        """The images that are mounted for the pod, by the digests of what their names point to."""
        return os.path.join(self.state, "image-volumes", sandbox_id)

    def container_root(self, container_id: str) -> str:
        """The status checkpoint and image-defined volumes."""
        return os.path.join(self.root, "containers", container_id)

    def container_state(self, container_id: str) -> str:
        """The FIFOs, in `io/`."""
        return os.path.join(self.state, "containers", container_id)

    @property
    def registry_hosts(self) -> str:
        """The `hosts.toml` tree that stands for deprecated settings."""
        return os.path.join(self.state, "registry")
