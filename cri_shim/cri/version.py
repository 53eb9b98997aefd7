"""Version: containerd's, for that is what runs the containers, and what cAdvisor and the kubelet compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts

KUBE_API_VERSION = "0.1.0"  # a constant of the kubelet's, never another in any runtime
RUNTIME_NAME = "containerd"
RUNTIME_API_VERSION = "v1"


def version(parts: Parts) -> cri.VersionResponse:
    """The versions of the API and of the runtime."""
    return cri.VersionResponse(
        version=KUBE_API_VERSION,
        runtime_name=RUNTIME_NAME,
        runtime_version=parts.health.version,
        runtime_api_version=RUNTIME_API_VERSION,
    )
