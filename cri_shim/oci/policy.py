"""The settings that specs depend on, by the keys of containerd's runtime table and of a handler's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.oci.spec import Spec


@dataclass(frozen=True)
class Policy:
    """The settings; `base_spec` is a handler's `base_runtime_spec`, read."""

    restrict_oom_score_adj: bool = False
    disable_proc_mount: bool = False
    unset_seccomp_profile: str = ""
    tolerate_missing_hugetlb_controller: bool = True
    disable_hugetlb_controller: bool = True
    device_ownership_from_security_context: bool = False
    enable_unprivileged_ports: bool = True
    enable_unprivileged_icmp: bool = True
    disable_apparmor: bool = False
    ignore_blockio_not_enabled_errors: bool = False
    ignore_rdt_not_enabled_errors: bool = False
    pod_annotations: Sequence[str] = ()
    container_annotations: Sequence[str] = ()
    privileged_without_host_devices: bool = False
    privileged_without_host_devices_all_devices_allowed: bool = False
    cgroup_writable: bool = False
    recursive_read_only_mounts: bool = False  # the runtime's feature
    user_namespaces: bool = False  # the runtime's feature
    base_spec: Spec | None = None
