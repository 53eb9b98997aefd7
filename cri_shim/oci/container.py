"""The spec of a workload container: the default, and what the request, the image, the handler and the node make of it.

What could be refused is looked at first; mounts come last, since a source that isn't there is made then.
Source: containerd `internal/cri/server/container_create.go` (`buildLinuxSpec`), whose order holds where it matters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci import (
    apparmor,
    bind_mount,
    capabilities,
    cdi_edits,
    devices,
    oom_score,
    process,
    resource_classes,
    resources,
    seccomp,
    users,
)
from cri_shim.oci.annotations import container_annotations, passed_through
from cri_shim.oci.cgroup_path import cgroups_path
from cri_shim.oci.container_input import ContainerSpecInput, PodFiles, volume_mount
from cri_shim.oci.container_mounts import container_mounts, wanted_mounts
from cri_shim.oci.defaults import ROOTFS, default_spec
from cri_shim.oci.fields import CONTEXT
from cri_shim.oci.linux_spec import Linux, Resources, Seccomp
from cri_shim.oci.namespaces import check_same_users, container_namespaces, user_mappings
from cri_shim.oci.spec import Capabilities, Process, Root, Spec, User

if TYPE_CHECKING:
    from cri_shim.oci.namespaces import UserMappings

__all__ = ["ContainerSpecInput", "PodFiles", "container_spec", "volume_mount"]


def container_spec(given: ContainerSpecInput) -> Spec:
    """The spec. Asks `given.host`, so it may block: call it in a thread.

    Raises InvalidArgument for a config that can't be met; a mount's missing source may have been made by then, or one
    relabelled, nothing else.
    """
    _check_privileged(given)
    mappings = user_mappings(given.options.userns_options, given.policy)
    check_same_users(given.sandbox_options.userns_options, given.options.userns_options)
    wanted = wanted_mounts(given)
    edits = cdi_edits.completed(given.cdi, given.host)
    base = given.policy.base_spec or default_spec(given.id)
    run = _process(base.process or Process(), given)
    linux = _linux(base.linux or Linux(), run, mappings, given)
    propagation = bind_mount.rootfs_propagation(linux.rootfs_propagation, wanted)
    root = base.root or Root(ROOTFS)
    spec = msgspec.structs.replace(
        base,
        process=run,
        root=Root(ROOTFS, readonly=root.readonly or given.context.readonly_rootfs),
        annotations={**base.annotations, **_annotations(given)},
        linux=msgspec.structs.replace(linux, rootfs_propagation=propagation),
        mounts=container_mounts(base.mounts, linux.namespaces, wanted, given),
    )
    return cdi_edits.edited(spec, edits)


def _check_privileged(given: ContainerSpecInput) -> None:
    if given.context.privileged and not given.sandbox_context.privileged:
        raise InvalidArgument(
            f"{CONTEXT}.privileged: no privileged container allowed in sandbox: run the sandbox with privileged set, "
            "or the container without"
        )


def _annotations(given: ContainerSpecInput) -> dict[str, str]:
    return {
        **passed_through(given.pod.annotations, given.policy.pod_annotations),
        **passed_through(given.config.annotations, given.policy.container_annotations),
        **container_annotations(given.sandbox_id, given.pod, given.config, given.image_name),
    }


def _process(base: Process, given: ContainerSpecInput) -> Process:
    config, context, image = given.config, given.context, given.image.process
    hostname = given.sandbox.hostname or given.facts.hostname
    return msgspec.structs.replace(
        base,
        args=process.arguments(config.command, config.args, image),
        env=process.environment(base.env, image.env or [], config.envs, terminal=config.tty, hostname=hostname),
        cwd=process.directory(config.working_dir, image, base.cwd),
        terminal=base.terminal or config.tty,
        user=_user(base.user, given),
        capabilities=capabilities.capabilities(
            base.capabilities or Capabilities(),
            context.capabilities,
            given.facts.effective_capabilities,
            privileged=context.privileged,
        ),
        no_new_privileges=context.no_new_privs,
        apparmor_profile=apparmor.profile(context, given.policy, given.facts, given.host)
        or ("" if context.privileged else base.apparmor_profile),
        oom_score_adj=_oom_score_adj(base, given),
        selinux_label=given.labels.run,
    )


def _user(base: User, given: ContainerSpecInput) -> User:
    context = given.context
    policies = cri.SupplementalGroupsPolicy
    if context.supplemental_groups_policy not in (policies.Merge, policies.Strict):
        raise InvalidArgument(
            f"{CONTEXT}.supplemental_groups_policy {int(context.supplemental_groups_policy)} is unknown: "
            "use Merge or Strict"
        )
    wanted = users.wanted_user(
        context.run_as_user, context.run_as_username, context.run_as_group, given.image.process.user
    )
    strict = context.supplemental_groups_policy == policies.Strict
    return users.workload_user(base, wanted, context.supplemental_groups, given.accounts, strict=strict)


def _oom_score_adj(base: Process, given: ContainerSpecInput) -> int | None:
    wanted = given.linux.resources
    if wanted is None:
        return base.oom_score_adj
    return oom_score.oom_score_adj(wanted.oom_score_adj, given.policy, given.facts)


def _linux(base: Linux, run: Process, mappings: UserMappings | None, given: ContainerSpecInput) -> Linux:
    found = _with_devices(base, given)
    asked, pod = given.config, given.pod.annotations
    limits = found.resources or Resources()
    masked, readonly = _paths(base, given)
    limits = msgspec.structs.replace(
        limits, block_io=resource_classes.block_io(limits.block_io, asked, pod, given.policy, given.facts)
    )
    return msgspec.structs.replace(
        found,
        cgroups_path=cgroups_path(given.sandbox_linux.cgroup_parent, given.id),
        resources=resources.applied(limits, given.linux.resources, given.policy, given.facts),
        masked_paths=masked,
        readonly_paths=readonly,
        namespaces=container_namespaces(
            base.namespaces,
            given.options.pid,
            given.sandbox_pid,
            given.target_pid,
            own_cgroup=given.own_cgroup_namespace,
            own_users=mappings is not None,
        ),
        uid_mappings=[*base.uid_mappings, *(mappings.uids if mappings else ())],
        gid_mappings=[*base.gid_mappings, *(mappings.gids if mappings else ())],
        seccomp=_seccomp(base, run, given),
        mount_label=given.labels.mount,
        intel_rdt=resource_classes.rdt(base.intel_rdt, asked, pod, given.policy, given.facts, given.host),
    )


def _with_devices(base: Linux, given: ContainerSpecInput) -> Linux:
    """With the devices asked for; a privileged container may have the node's, or at least the use of all."""
    policy, limits = given.policy, base.resources or Resources()
    asked = devices.wanted_devices(given.config.devices, given.context, policy, given.host)
    nodes, rules = [*base.devices, *asked.nodes], [*limits.devices, *asked.rules]
    if given.context.privileged:
        if not policy.privileged_without_host_devices:
            nodes, rules = nodes + devices.host_devices(given.host), [devices.ALL_ALLOWED]
        elif policy.privileged_without_host_devices_all_devices_allowed:
            rules = [devices.ALL_ALLOWED]
    return msgspec.structs.replace(base, devices=nodes, resources=msgspec.structs.replace(limits, devices=rules))


def _paths(base: Linux, given: ContainerSpecInput) -> tuple[list[str], list[str]]:
    """What of /proc and /sys is hidden, and what can't be written: the kubelet says; nothing for a privileged one."""
    if given.context.privileged:
        return [], []
    if given.policy.disable_proc_mount:
        return base.masked_paths, base.readonly_paths
    return list(given.context.masked_paths), list(given.context.readonly_paths)


def _seccomp(base: Linux, run: Process, given: ContainerSpecInput) -> Seccomp | None:
    if given.context.privileged:
        return None
    bounding = run.capabilities.bounding if run.capabilities else []
    return seccomp.profile(given.context, bounding, given.policy, given.facts, given.host) or base.seccomp
