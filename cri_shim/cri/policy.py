"""The settings of a handler as the specs of its containers ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.oci.policy import Policy

if TYPE_CHECKING:
    from cri_shim.config.settings import RuntimeHandler
    from cri_shim.cri.parts import Parts


def policy_of(parts: Parts, handler: RuntimeHandler) -> Policy:
    """What the node's and the handler's settings, and the runtime's features, make of specs."""
    runtime = parts.settings.runtime
    name = next(name for name, configured in runtime.containerd.runtimes.items() if configured is handler)
    features = next((item.features for item in parts.runtime_handlers if item.name == name), None)
    return Policy(
        restrict_oom_score_adj=runtime.restrict_oom_score_adj,
        disable_proc_mount=runtime.disable_proc_mount,
        unset_seccomp_profile=runtime.unset_seccomp_profile,
        tolerate_missing_hugetlb_controller=runtime.tolerate_missing_hugetlb_controller,
        disable_hugetlb_controller=runtime.disable_hugetlb_controller,
        device_ownership_from_security_context=runtime.device_ownership_from_security_context,
        enable_unprivileged_ports=runtime.enable_unprivileged_ports,
        enable_unprivileged_icmp=runtime.enable_unprivileged_icmp,
        disable_apparmor=runtime.disable_apparmor,
        ignore_blockio_not_enabled_errors=runtime.containerd.ignore_blockio_not_enabled_errors,
        ignore_rdt_not_enabled_errors=runtime.containerd.ignore_rdt_not_enabled_errors,
        pod_annotations=tuple(handler.pod_annotations),
        container_annotations=tuple(handler.container_annotations),
        privileged_without_host_devices=handler.privileged_without_host_devices,
        privileged_without_host_devices_all_devices_allowed=(
            handler.privileged_without_host_devices_all_devices_allowed
        ),
        cgroup_writable=handler.cgroup_writable,
        recursive_read_only_mounts=bool(features and features.recursive_read_only_mounts),
        user_namespaces=bool(features and features.user_namespaces),
        base_spec=parts.base_specs.get(name),
    )
