"""The spec of a workload container: the default, and what the request, the image, the handler and the node make of it.

Source: containerd `internal/cri/server/container_create.go` (`buildLinuxSpec`). The order is containerd's where it
matters: a later step sees what an earlier one decided.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci import apparmor, devices, oom_score, process, resources, seccomp, users
from cri_shim.oci.annotations import container_annotations, passed_through
from cri_shim.oci.capabilities import capabilities
from cri_shim.oci.cgroup_path import cgroups_path
from cri_shim.oci.defaults import default_spec
from cri_shim.oci.mounts import Merged, cgroup_mount, merged, writable_kernel
from cri_shim.oci.namespaces import UserMappings, container_namespaces, user_mappings
from cri_shim.oci.spec import Device, DeviceRule, Linux, Process, Resources, Root, Seccomp, Spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.host_view import HostView
    from cri_shim.oci.image import ImageConfig
    from cri_shim.oci.policy import Policy


@dataclass(frozen=True)
class PodFiles:
    """The pod's files on the node, as its containers get them; "" for one that isn't there."""

    hostname: str = ""
    hosts: str = ""
    resolv_conf: str = ""
    shm: str = ""


@dataclass(frozen=True)
class ContainerSpecInput:
    """What a container's spec is made of; `pod` is the config of the request, `sandbox` that of the sandbox."""

    id: str
    config: cri.ContainerConfig
    pod: cri.PodSandboxConfig
    sandbox: cri.PodSandboxConfig
    sandbox_id: str
    sandbox_pid: int
    image: ImageConfig
    image_name: str
    accounts: users.Accounts
    files: PodFiles
    facts: NodeFacts
    policy: Policy
    host: HostView
    volumes: Sequence[cri.Mount] = ()
    target_pid: int = 0
    context: cri.LinuxContainerSecurityContext = field(init=False)
    options: cri.NamespaceOption = field(init=False)

    def __post_init__(self) -> None:
        linux = self.config.linux or cri.LinuxContainerConfig()
        context = linux.security_context or cri.LinuxContainerSecurityContext()
        object.__setattr__(self, "context", context)
        object.__setattr__(self, "options", context.namespace_options or cri.NamespaceOption())

    @property
    def own_cgroup_namespace(self) -> bool:
        """Whether the container sees its own cgroup as the root of all."""
        return self.facts.unified_cgroups and not self.context.privileged


def container_spec(given: ContainerSpecInput) -> Spec:
    """The spec. Asks `given.host`, so it may block: call it in a thread.

    Raises InvalidArgument for a config that can't be met, before anything is made.
    """
    _check_privileged(given)
    mappings = _mappings(given)
    base = given.policy.base_spec or default_spec(given.id)
    mounts = _mounts(base, given)
    base_process = base.process or Process()
    made = _process(base_process, given)
    linux = base.linux or Linux()
    return msgspec.structs.replace(
        base,
        process=made,
        root=Root("rootfs", readonly=given.context.readonly_rootfs),
        mounts=writable_kernel(mounts.mounts) if given.context.privileged else mounts.mounts,
        annotations={
            **base.annotations,
            **passed_through(given.pod.annotations, given.policy.pod_annotations),
            **passed_through(given.config.annotations, given.policy.container_annotations),
            **container_annotations(given.sandbox_id, given.pod, given.config, given.image_name),
        },
        linux=_linux(linux, made, mounts, mappings, given),
    )


def _check_privileged(given: ContainerSpecInput) -> None:
    linux = given.sandbox.linux
    context = linux.security_context if linux else None
    if given.context.privileged and not (context and context.privileged):
        raise InvalidArgument(
            "config.linux.security_context.privileged: no privileged container allowed in a sandbox that isn't: "
            "run the sandbox with privileged set"
        )


def _mappings(given: ContainerSpecInput) -> UserMappings | None:
    """The user namespace, which is the pod's: a container that asks for another one is refused."""
    linux = given.sandbox.linux
    context = linux.security_context if linux else None
    options = (context.namespace_options if context else None) or cri.NamespaceOption()
    asked = given.options.userns_options
    if asked is not None and asked != (options.userns_options or cri.UserNamespace(mode=asked.mode)):
        raise InvalidArgument(
            "config.linux.security_context.namespace_options.userns_options differ from the sandbox's: "
            "containers share their pod's user namespace"
        )
    return user_mappings(options, given.policy)


def _process(base: Process, given: ContainerSpecInput) -> Process:
    config, context, image = given.config, given.context, given.image.process
    linux = config.linux or cri.LinuxContainerConfig()
    name, from_image = users.wanted_user(context.run_as_user, context.run_as_username, context.run_as_group, image.user)
    policies = cri.SupplementalGroupsPolicy
    if context.supplemental_groups_policy not in (policies.Merge, policies.Strict):
        raise InvalidArgument(
            f"security_context.supplemental_groups_policy {int(context.supplemental_groups_policy)} is unknown: "
            "use Merge or Strict"
        )
    wanted = users.Wanted(
        name, from_image, context.supplemental_groups, strict=context.supplemental_groups_policy == policies.Strict
    )
    hostname = given.sandbox.hostname or given.facts.hostname
    score = linux.resources.oom_score_adj if linux.resources is not None else None
    return msgspec.structs.replace(
        base,
        args=process.arguments(config.command, config.args, image),
        env=process.environment(image.env or [], config.envs, terminal=config.tty, hostname=hostname),
        cwd=config.working_dir or image.working_dir or "/",
        terminal=config.tty,
        user=users.resolve(wanted, given.accounts),
        capabilities=capabilities(
            context.capabilities, given.facts.effective_capabilities, privileged=context.privileged
        ),
        no_new_privileges=context.no_new_privs,
        apparmor_profile=apparmor.profile(context, given.policy, given.facts),
        oom_score_adj=None if score is None else oom_score.oom_score_adj(score, given.policy, given.facts),
    )


def _mounts(base: Spec, given: ContainerSpecInput) -> Merged:
    defaults = [mount for mount in base.mounts if mount.destination != "/run"]
    options = () if given.own_cgroup_namespace else given.facts.cgroup_mount_options
    defaults.append(cgroup_mount(options, writable=given.policy.cgroup_writable))
    wanted = [mount for mount in given.config.mounts if not mount.image]
    return merged(defaults, wanted, [*_pod_files(given), *given.volumes], given.host, given.policy)


def _pod_files(given: ContainerSpecInput) -> list[cri.Mount]:
    """The pod's files, where the request doesn't bring its own; with a read-only root they are read-only, too."""
    files, readonly = given.files, given.context.readonly_rootfs
    places = (("/etc/hostname", files.hostname), ("/etc/hosts", files.hosts), ("/etc/resolv.conf", files.resolv_conf))
    found = [cri.Mount(container_path=place, host_path=path, readonly=readonly) for place, path in places if path]
    if files.shm:
        found.append(cri.Mount(container_path="/dev/shm", host_path=files.shm))
    return found


def _linux(
    base: Linux, made: Process, mounts: Merged, mappings: UserMappings | None, given: ContainerSpecInput
) -> Linux:
    context, policy = given.context, given.policy
    config = given.config.linux or cri.LinuxContainerConfig()
    parent = given.sandbox.linux.cgroup_parent if given.sandbox.linux else ""
    found, rules = _devices(given)
    limits = resources.applied(base.resources or Resources(), config.resources, policy, given.facts)
    masked, readonly = _paths(base, given)
    return msgspec.structs.replace(
        base,
        cgroups_path=cgroups_path(parent, given.id),
        devices=[*base.devices, *found],
        resources=msgspec.structs.replace(limits, devices=rules if context.privileged else [*limits.devices, *rules])
        if rules
        else limits,
        masked_paths=masked,
        readonly_paths=readonly,
        rootfs_propagation=mounts.rootfs_propagation or base.rootfs_propagation,
        namespaces=container_namespaces(
            given.options,
            given.sandbox_pid,
            given.target_pid,
            own_cgroup=given.own_cgroup_namespace,
            own_users=mappings is not None,
        ),
        uid_mappings=mappings.uids if mappings else [],
        gid_mappings=mappings.gids if mappings else [],
        seccomp=_seccomp(base, made, given),
    )


def _devices(given: ContainerSpecInput) -> tuple[list[Device], list[DeviceRule]]:
    if given.context.privileged:
        if not given.policy.privileged_without_host_devices:
            return devices.host_devices(given.host), [devices.ALL_ALLOWED]
        if given.policy.privileged_without_host_devices_all_devices_allowed:
            return [], [devices.ALL_ALLOWED]
    return devices.wanted_devices(given.config.devices, given.host, _device_owner(given))


def _device_owner(given: ContainerSpecInput) -> tuple[int | None, int | None]:
    if not given.policy.device_ownership_from_security_context:
        return None, None
    user, group = given.context.run_as_user, given.context.run_as_group
    return (user.value if user and user.value else None, group.value if group and group.value else None)


def _paths(base: Linux, given: ContainerSpecInput) -> tuple[list[str], list[str]]:
    """What of /proc and /sys is hidden, and what can't be written: the kubelet says; nothing for a privileged one."""
    if given.context.privileged:
        return [], []
    if given.policy.disable_proc_mount:
        return base.masked_paths, base.readonly_paths
    return list(given.context.masked_paths), list(given.context.readonly_paths)


def _seccomp(base: Linux, made: Process, given: ContainerSpecInput) -> Seccomp | None:
    context = given.context
    if context.privileged:
        return None
    bounding = made.capabilities.bounding if made.capabilities else []
    found = seccomp.profile(
        context.seccomp,
        context.seccomp_profile_path,
        given.policy.unset_seccomp_profile,
        given.facts,
        bounding,
        given.host,
    )
    return found or (base.seccomp if given.policy.base_spec is not None else None)


def volume_mount(host_path: str, container_path: str) -> cri.Mount:
    """An image-defined volume as a mount."""
    return cri.Mount(container_path=posixpath.normpath(container_path), host_path=host_path)
