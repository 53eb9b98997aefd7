"""The spec of a sandbox's pause container: the process that holds a pod's namespaces.

Source: containerd `internal/cri/server/podsandbox/sandbox_run_linux.go` (`sandboxContainerSpec`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci import oom_score, process, seccomp, users
from cri_shim.oci.annotations import passed_through, sandbox_annotations
from cri_shim.oci.cgroup_path import cgroups_path
from cri_shim.oci.defaults import default_spec
from cri_shim.oci.mounts import writable_kernel
from cri_shim.oci.namespaces import sandbox_namespaces, user_mappings
from cri_shim.oci.spec import Cpu, Linux, Mount, Process, Resources, Root, Spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.host_view import HostView
    from cri_shim.oci.image import ImageConfig
    from cri_shim.oci.namespaces import UserMappings
    from cri_shim.oci.policy import Policy

PAUSE_CPU_SHARES = 2
PORT_START = "net.ipv4.ip_unprivileged_port_start"
PING_RANGE = "net.ipv4.ping_group_range"
EVERYBODY = "0 2147483647"
_BIND = ["rbind", "ro", "nosuid", "nodev", "noexec"]


@dataclass(frozen=True)
class SandboxSpecInput:
    """What a pause container's spec is made of."""

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


def sandbox_spec(given: SandboxSpecInput) -> Spec:
    """The spec. Raises InvalidArgument for a config that can't be met, before anything is made."""
    config = given.config
    linux = config.linux or cri.LinuxPodSandboxConfig()
    context = linux.security_context or cri.LinuxSandboxSecurityContext()
    options = context.namespace_options or cri.NamespaceOption()
    mappings = user_mappings(options, given.policy)
    spec = default_spec(given.id)
    assert spec.process is not None  # noqa: S101  (the default has them)
    assert spec.linux is not None  # noqa: S101
    mounts = _mounts(spec.mounts, given)
    return msgspec.structs.replace(
        spec,
        process=_process(spec.process, context, given),
        root=Root("rootfs", readonly=True),
        hostname=config.hostname,
        mounts=writable_kernel(mounts) if context.privileged else mounts,
        linux=_linux(spec.linux, linux, context, options, mappings, given),
        annotations={
            **passed_through(config.annotations, given.policy.pod_annotations),
            **sandbox_annotations(given.id, config, given.image_name),
        },
    )


def _process(base: Process, context: cri.LinuxSandboxSecurityContext, given: SandboxSpecInput) -> Process:
    image = given.image.process
    args = [*(image.entrypoint or []), *(image.cmd or [])]
    if not args:
        raise InvalidArgument(f"the sandbox image {given.image_name!r} has neither an entry point nor a command")
    name, _ = users.wanted_user(context.run_as_user, "", context.run_as_group, image.user)
    wanted = users.Wanted(name, from_image=False, supplemental_groups=context.supplemental_groups, strict=True)
    return msgspec.structs.replace(
        base,
        args=args,
        env=process.merged([], image.env or []),
        cwd=image.working_dir or "/",
        user=users.resolve(wanted, given.accounts),
        oom_score_adj=oom_score.oom_score_adj(oom_score.PAUSE, given.policy, given.facts),
    )


def _mounts(defaults: list[Mount], given: SandboxSpecInput) -> list[Mount]:
    kept = [mount for mount in defaults if mount.destination != "/dev/shm"]
    return [
        *kept,
        Mount("/dev/shm", "bind", given.shm_path, list(_BIND)),
        Mount("/etc/resolv.conf", "bind", given.resolv_conf_path, list(_BIND)),
    ]


def _linux(
    base: Linux,
    linux: cri.LinuxPodSandboxConfig,
    context: cri.LinuxSandboxSecurityContext,
    options: cri.NamespaceOption,
    mappings: UserMappings | None,
    given: SandboxSpecInput,
) -> Linux:
    resources = base.resources or Resources()
    bounding = default_spec(given.id).process.capabilities.bounding  # type: ignore[union-attr]
    return msgspec.structs.replace(
        base,
        sysctl=sysctls(linux.sysctls, options, given.policy, given.facts, own_users=mappings is not None),
        cgroups_path=cgroups_path(linux.cgroup_parent, given.id),
        namespaces=sandbox_namespaces(options, given.netns_path, own_users=mappings is not None),
        uid_mappings=mappings.uids if mappings else [],
        gid_mappings=mappings.gids if mappings else [],
        resources=msgspec.structs.replace(resources, cpu=Cpu(shares=PAUSE_CPU_SHARES)),
        seccomp=None
        if context.privileged
        else seccomp.profile(
            context.seccomp,
            context.seccomp_profile_path,
            given.policy.unset_seccomp_profile,
            given.facts,
            bounding,
            given.host,
        ),
    )


def sysctls(
    wanted: Mapping[str, str], options: cri.NamespaceOption, policy: Policy, facts: NodeFacts, *, own_users: bool
) -> dict[str, str]:
    """The pod's sysctls, with those that let everybody bind low ports and ping, in a network of the pod's own."""
    found = dict(wanted)
    if options.network == cri.NamespaceMode.NODE:
        return found
    if policy.enable_unprivileged_ports:
        found.setdefault(PORT_START, "0")
    if policy.enable_unprivileged_icmp and not own_users and not facts.in_user_namespace:
        found.setdefault(PING_RANGE, EVERYBODY)
    return found
