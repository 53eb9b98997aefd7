"""What `[plugins."io.containerd.cri.v1.runtime"]` says: handlers, network, and how containers are made.

Field names are containerd's keys; so are the defaults, except where a comment says otherwise.
Source: containerd `internal/cri/config/config.go` and `config_unix.go`, 2.0 to 2.3.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cri_shim.config.durations import Seconds

RUNC_V2 = "io.containerd.runc.v2"
RUNC_OPTIONS: Mapping[str, object] = {
    "BinaryName": "",
    "CriuImagePath": "",
    "CriuWorkPath": "",
    "IoGid": 0,
    "IoUid": 0,
    "NoNewKeyring": False,
    "Root": "",
    "ShimCgroup": "",
    "SystemdCgroup": False,
}


@dataclass(frozen=True)
class RuntimeHandler:
    """One `[…containerd.runtimes.<handler>]`: what a pod's `runtimeClassName` leads to."""

    runtime_type: str = ""
    runtime_path: str = ""
    pod_annotations: tuple[str, ...] = ()
    container_annotations: tuple[str, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)
    privileged_without_host_devices: bool = False
    privileged_without_host_devices_all_devices_allowed: bool = False
    cgroup_writable: bool = False
    base_runtime_spec: str = ""
    cni_conf_dir: str = ""
    cni_max_conf_num: int = 0
    snapshotter: str = ""
    sandboxer: str = ""
    io_type: str = ""
    disable_pause_image_pull: bool = False


@dataclass(frozen=True)
class HandlerSettings:
    """`[…containerd]`: the handlers and the one for pods that name none."""

    default_runtime_name: str = "runc"
    runtimes: Mapping[str, RuntimeHandler] = field(
        default_factory=lambda: {
            "runc": RuntimeHandler(runtime_type=RUNC_V2, options=RUNC_OPTIONS, sandboxer="podsandbox", io_type="fifo")
        }
    )
    ignore_blockio_not_enabled_errors: bool = False
    ignore_rdt_not_enabled_errors: bool = False


@dataclass(frozen=True)
class CniSettings:
    """`[…cni]`: where network configuration and plugins are. `bin_dir` is the older spelling of `bin_dirs`."""

    bin_dir: str = ""
    bin_dirs: tuple[str, ...] = ("/opt/cni/bin",)
    conf_dir: str = "/etc/cni/net.d"
    max_conf_num: int = 1
    setup_serially: bool = False
    conf_template: str = ""
    ip_pref: str = ""
    use_internal_loopback: bool = False


@dataclass(frozen=True)
class RuntimeSettings:
    """The whole table; times are in seconds."""

    containerd: HandlerSettings = field(default_factory=HandlerSettings)
    cni: CniSettings = field(default_factory=CniSettings)
    enable_selinux: bool = False
    selinux_category_range: int = 1024
    max_container_log_line_size: int = 16384
    disable_apparmor: bool = False
    restrict_oom_score_adj: bool = False
    disable_proc_mount: bool = False
    unset_seccomp_profile: str = ""
    tolerate_missing_hugetlb_controller: bool = True
    disable_hugetlb_controller: bool = True
    device_ownership_from_security_context: bool = False
    ignore_image_defined_volumes: bool = False
    netns_mounts_under_state_dir: bool = False
    enable_unprivileged_ports: bool = True
    enable_unprivileged_icmp: bool = True
    enable_cdi: bool = True
    cdi_spec_dirs: tuple[str, ...] = ("/etc/cdi", "/var/run/cdi")
    drain_exec_sync_io_timeout: Seconds = 0.0  # 0 stands for our own table's, which is bounded
    ignore_deprecation_warnings: tuple[str, ...] = ()
    stats_collect_period: Seconds = 1.0
    stats_retention_period: Seconds = 120.0
    enable_criu: bool = True
    enable_experimental_restore_via_create: bool = False
