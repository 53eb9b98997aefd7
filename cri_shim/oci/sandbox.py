"""The spec of a sandbox's pause container: the process that holds a pod's namespaces.

Source: containerd `internal/cri/server/podsandbox/sandbox_run_linux.go` (`sandboxContainerSpec`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci import defaults, oom_score, process, seccomp, selinux, users
from cri_shim.oci.annotations import passed_through, sandbox_annotations
from cri_shim.oci.cgroup_path import cgroups_path
from cri_shim.oci.linux_spec import Cpu, Linux, Resources
from cri_shim.oci.mounts import with_node_sys, without, writable_kernel
from cri_shim.oci.namespaces import check_pod_options, sandbox_namespaces, user_mappings
from cri_shim.oci.spec import Mount, Process, Root, Spec
from cri_shim.oci.sysctls import sysctls

if TYPE_CHECKING:
    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.host_view import HostView
    from cri_shim.oci.image import ImageConfig
    from cri_shim.oci.namespaces import UserMappings
    from cri_shim.oci.policy import Policy

PAUSE_CPU_SHARES = 2
SHM = "/dev/shm"
_BIND = ("rbind", "ro", "nosuid", "nodev", "noexec")  # in a user namespace a remount without them is refused


@dataclass(frozen=True)
class SandboxSpecInput:
    """What a pause container's spec is made of.

    `userns_path` is the pinned user namespace that owns the network namespace at `netns_path`; "" has the runtime make
    one where the config asks for one. `accounts` are the pause image's: none are needed for a numeric user.
    """

    id: str
    config: cri.PodSandboxConfig
    image: ImageConfig
    image_name: str
    netns_path: str
    shm_path: str
    resolv_conf_path: str
    facts: NodeFacts
    policy: Policy
    host: HostView
    accounts: users.Accounts = field(default_factory=users.Accounts)
    userns_path: str = ""
    labels: selinux.Labels = selinux.NO_LABELS

    @cached_property
    def linux(self) -> cri.LinuxPodSandboxConfig:
        """The Linux part of the config, empty where it has none; so are those below."""
        return self.config.linux or cri.LinuxPodSandboxConfig()

    @cached_property
    def context(self) -> cri.LinuxSandboxSecurityContext:
        """The security context."""
        return self.linux.security_context or cri.LinuxSandboxSecurityContext()

    @cached_property
    def options(self) -> cri.NamespaceOption:
        """The namespace options."""
        return self.context.namespace_options or cri.NamespaceOption()


def check_security(config: cri.PodSandboxConfig, policy: Policy, facts: NodeFacts, host: HostView) -> None:
    """Raise InvalidArgument for what a pod's security context asks for and can't have. Blocks, as `sandbox_spec`."""
    linux = config.linux or cri.LinuxPodSandboxConfig()
    context = linux.security_context or cri.LinuxSandboxSecurityContext()
    options = context.namespace_options or cri.NamespaceOption()
    check_pod_options(options)
    user_mappings(options.userns_options, policy)
    selinux.check_options(context.selinux_options)
    users.pause_user(
        users.wanted_user(context.run_as_user, "", context.run_as_group, ""),
        context.supplemental_groups,
        users.Accounts(),
    )
    seccomp.profile(context, defaults.CAPABILITIES, policy, facts, host)


def sandbox_spec(given: SandboxSpecInput) -> Spec:
    """The spec. Reads a Localhost seccomp profile by `given.host`, so with one it may block: call it in a thread then.

    Raises InvalidArgument for a config that can't be met, before anything is made.
    """
    mappings = user_mappings(given.options.userns_options, given.policy)
    return Spec(
        process=_process(given),
        root=Root(defaults.ROOTFS, readonly=True),
        hostname=given.config.hostname,
        mounts=_mounts(mappings, given),
        linux=_linux(mappings, given),
        annotations={
            **passed_through(given.config.annotations, given.policy.pod_annotations),
            **sandbox_annotations(given.id, given.config, given.image_name),
        },
    )


def _process(given: SandboxSpecInput) -> Process:
    image, context = given.image.process, given.context
    args = [*(image.entrypoint or []), *(image.cmd or [])]
    if not args:
        raise InvalidArgument(f"the sandbox image {given.image_name!r} has neither an entry point nor a command")
    wanted = users.wanted_user(context.run_as_user, "", context.run_as_group, image.user)
    return msgspec.structs.replace(
        defaults.default_process(),
        args=args,
        env=process.merged([], image.env or []),
        cwd=image.working_dir or "/",
        user=users.pause_user(wanted, context.supplemental_groups, given.accounts),
        oom_score_adj=oom_score.oom_score_adj(oom_score.PAUSE, given.policy, given.facts),
        selinux_label=given.labels.run,
    )


def _mounts(mappings: UserMappings | None, given: SandboxSpecInput) -> list[Mount]:
    kernel = without(defaults.default_mounts(), SHM)
    if mappings is not None and given.options.network == cri.NamespaceMode.NODE:
        kernel = with_node_sys(kernel)
    return [
        *(writable_kernel(kernel) if given.context.privileged else kernel),
        Mount(SHM, "bind", given.shm_path, list(_BIND)),
        Mount("/etc/resolv.conf", "bind", given.resolv_conf_path, list(_BIND)),
    ]


def _linux(mappings: UserMappings | None, given: SandboxSpecInput) -> Linux:
    own_users = mappings is not None
    base = defaults.default_linux(given.id)
    resources = msgspec.structs.replace(base.resources or Resources(), cpu=Cpu(shares=PAUSE_CPU_SHARES))
    return msgspec.structs.replace(
        base,
        sysctl=sysctls(given.linux.sysctls, given.options.network, given.policy, given.facts, own_users=own_users),
        cgroups_path=cgroups_path(given.linux.cgroup_parent, given.id),
        namespaces=sandbox_namespaces(
            given.options, given.netns_path, own_users=own_users, userns_path=given.userns_path
        ),
        uid_mappings=mappings.uids if mappings else [],
        gid_mappings=mappings.gids if mappings else [],
        resources=resources,
        seccomp=seccomp.profile(given.context, defaults.CAPABILITIES, given.policy, given.facts, given.host),
        mount_label=given.labels.mount,
    )
