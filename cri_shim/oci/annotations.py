"""Annotations of specs: those that tools find pods by, and those that a handler's settings pass through.

Source: containerd `internal/cri/annotations/annotations.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.oci.glob import glob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cri_shim.api.runtime import v1 as cri

_CRI = "io.kubernetes.cri"
CONTAINER_TYPE = f"{_CRI}.container-type"
SANDBOX_ID = f"{_CRI}.sandbox-id"


def sandbox_annotations(sandbox_id: str, config: cri.PodSandboxConfig, image: str) -> dict[str, str]:
    """The CRI's own annotations of a pause container; its resources are told, not enforced: the kubelet's part."""
    found = {
        CONTAINER_TYPE: "sandbox",
        **_pod(sandbox_id, config),
        f"{_CRI}.sandbox-log-directory": config.log_directory,
        f"{_CRI}.podsandbox.image-name": image,
    }
    resources = config.linux.resources if config.linux else None
    if resources is not None:
        found[f"{_CRI}.sandbox-cpu-period"] = str(resources.cpu_period)
        found[f"{_CRI}.sandbox-cpu-quota"] = str(resources.cpu_quota)
        found[f"{_CRI}.sandbox-cpu-shares"] = str(resources.cpu_shares)
        found[f"{_CRI}.sandbox-memory"] = str(resources.memory_limit_in_bytes)
    return found


def container_annotations(
    sandbox_id: str, pod: cri.PodSandboxConfig, config: cri.ContainerConfig, image: str
) -> dict[str, str]:
    """The CRI's own annotations of a workload container."""
    name = config.metadata.name if config.metadata else ""
    wanted = config.image.user_specified_image if config.image else ""
    return {
        CONTAINER_TYPE: "container",
        **_pod(sandbox_id, pod),
        f"{_CRI}.container-name": name,
        f"{_CRI}.image-name": wanted or image,
    }


def _pod(sandbox_id: str, config: cri.PodSandboxConfig) -> dict[str, str]:
    pod = config.metadata
    return {
        SANDBOX_ID: sandbox_id,
        f"{_CRI}.sandbox-namespace": pod.namespace if pod else "",
        f"{_CRI}.sandbox-uid": pod.uid if pod else "",
        f"{_CRI}.sandbox-name": pod.name if pod else "",
    }


def passed_through(annotations: Mapping[str, str], patterns: Sequence[str]) -> dict[str, str]:
    """The annotations whose key matches one of `patterns`, in which `*` does not cross a slash."""
    if not patterns:
        return {}
    matches = [compiled for pattern in patterns if (compiled := glob(pattern)) is not None]
    return {key: value for key, value in annotations.items() if any(match.fullmatch(key) for match in matches)}
