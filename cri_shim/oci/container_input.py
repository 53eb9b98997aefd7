"""What the spec of a workload container is made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.oci.selinux import NO_LABELS, Labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.oci.cdi_spec import ContainerEdits
    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.host_view import HostView
    from cri_shim.oci.image import ImageConfig
    from cri_shim.oci.policy import Policy
    from cri_shim.oci.users import Accounts


@dataclass(frozen=True)
class PodFiles:
    """The files of a pod that its containers share: where on the node they are; "" for one that isn't there."""

    hostname: str = ""
    hosts: str = ""
    resolv_conf: str = ""
    shm: str = ""


@dataclass(frozen=True)
class ContainerSpecInput:
    """What a container's spec is made of.

    `pod` is the config that came with the request (its annotations and names count), `sandbox` the one that the
    sandbox was run with (its privileges, namespaces and cgroup count). A mount of an image has its `host_path` set
    already; `volumes` are those that the image defines, `cdi` what the container's CDI devices change. `target_pid` is
    the process of the pid namespace to join, for mode TARGET.
    """

    id: str
    config: cri.ContainerConfig
    pod: cri.PodSandboxConfig
    sandbox: cri.PodSandboxConfig
    sandbox_id: str
    sandbox_pid: int
    image: ImageConfig
    image_name: str
    accounts: Accounts
    files: PodFiles
    facts: NodeFacts
    policy: Policy
    host: HostView
    volumes: Sequence[cri.Mount] = ()
    target_pid: int = 0
    cdi: Sequence[ContainerEdits] = ()
    labels: Labels = NO_LABELS

    @cached_property
    def linux(self) -> cri.LinuxContainerConfig:
        """The Linux part of the request, empty where it has none; so are those below."""
        return self.config.linux or cri.LinuxContainerConfig()

    @cached_property
    def context(self) -> cri.LinuxContainerSecurityContext:
        """The container's security context."""
        return self.linux.security_context or cri.LinuxContainerSecurityContext()

    @cached_property
    def options(self) -> cri.NamespaceOption:
        """The container's namespace options."""
        return self.context.namespace_options or cri.NamespaceOption()

    @cached_property
    def sandbox_linux(self) -> cri.LinuxPodSandboxConfig:
        """The Linux part of the sandbox's config."""
        return self.sandbox.linux or cri.LinuxPodSandboxConfig()

    @cached_property
    def sandbox_context(self) -> cri.LinuxSandboxSecurityContext:
        """The sandbox's security context."""
        return self.sandbox_linux.security_context or cri.LinuxSandboxSecurityContext()

    @cached_property
    def sandbox_options(self) -> cri.NamespaceOption:
        """The sandbox's namespace options."""
        return self.sandbox_context.namespace_options or cri.NamespaceOption()

    @property
    def own_cgroup_namespace(self) -> bool:
        """Whether the container sees its own cgroup as the root of all."""
        return self.facts.unified_cgroups and not self.context.privileged

    @property
    def users_options(self) -> cri.UserNamespace | None:
        """The pod's own user namespace; None in the node's."""
        wanted = self.options.userns_options
        return wanted if wanted is not None and wanted.mode == cri.NamespaceMode.POD else None


def volume_mount(host_path: str, container_path: str) -> cri.Mount:
    """A volume that the image defines, as a mount."""
    return cri.Mount(container_path=container_path, host_path=host_path)
