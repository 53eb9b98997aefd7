"""Ids and names of sandboxes and containers, as containerd's CRI plugin makes them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cri_shim.api.runtime import v1 as cri


def new_id() -> str:
    """A fresh id: 32 random bytes in lower-case hex. cAdvisor finds containers by that shape in cgroup names."""
    return secrets.token_hex(32)


def sandbox_name(pod: cri.PodSandboxMetadata) -> str:
    """The name that a sandbox is reserved under: one per pod and attempt."""
    return f"{pod.name}_{pod.namespace}_{pod.uid}_{pod.attempt}"


def container_name(container: cri.ContainerMetadata, pod: cri.PodSandboxMetadata) -> str:
    """The name that a container is reserved under: one per container of a pod and attempt."""
    return f"{container.name}_{pod.name}_{pod.namespace}_{pod.uid}_{container.attempt}"
