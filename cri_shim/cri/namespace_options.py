"""Which namespaces a pod, or a container, wants: where its config keeps that."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cri_shim.api.runtime import v1 as cri


def namespace_options(
    linux: cri.LinuxPodSandboxConfig | cri.LinuxContainerConfig | None,
) -> cri.NamespaceOption | None:
    """The options, None where the config has none: then every namespace is the pod's."""
    context = linux.security_context if linux is not None else None
    return context.namespace_options if context is not None else None
