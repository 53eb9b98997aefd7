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

    runtime_type: str = ""  # containerd's name of the shim, such as "io.containerd.runc.v2"
    runtime_path: str = ""  # the shim's program, absolute; "" finds it on containerd's PATH
    pod_annotations: tuple[str, ...] = ()  # patterns of the pod's annotations that go into the OCI spec
    container_annotations: tuple[str, ...] = ()  # the same for the container's
    options: Mapping[str, object] = field(
        default_factory=dict
    )  # the shim's own; those of runc are BinaryName, SystemdCgroup, …
    privileged_without_host_devices: bool = False  # privileged containers get no devices of the node
    privileged_without_host_devices_all_devices_allowed: bool = False  # and yet may use those that they are given
    cgroup_writable: bool = False  # /sys/fs/cgroup can be written in containers (cgroup v2)
    base_runtime_spec: str = ""  # a JSON file with the OCI spec to begin with
    cni_conf_dir: str = ""  # a network of this handler's own
    cni_max_conf_num: int = 0  # how many files of that directory count
    snapshotter: str = ""  # another one than the images table names
    sandboxer: str = ""  # pods are made by "podsandbox" only
    io_type: str = ""  # "fifo"; another is refused
    disable_pause_image_pull: bool = False  # of sandboxers that need no such image


@dataclass(frozen=True)
class HandlerSettings:
    """`[…containerd]`: the handlers and the one for pods that name none."""

    default_runtime_name: str = "runc"  # the handler of pods without a runtimeClassName
    runtimes: Mapping[str, RuntimeHandler] = field(
        default_factory=lambda: {
            "runc": RuntimeHandler(runtime_type=RUNC_V2, options=RUNC_OPTIONS, sandboxer="podsandbox", io_type="fifo")
        }
    )
    ignore_blockio_not_enabled_errors: bool = False  # run the container where its class of block I/O can't be had
    ignore_rdt_not_enabled_errors: bool = False  # run the container where its class of cache can't be had


@dataclass(frozen=True)
class CniSettings:
    """`[…cni]`: where network configuration and plugins are. `bin_dir` is the older spelling of `bin_dirs`."""

    bin_dir: str = ""  # the older spelling of bin_dirs
    bin_dirs: tuple[str, ...] = ("/opt/cni/bin",)  # where plugins are looked for, in order
    conf_dir: str = "/etc/cni/net.d"  # network configurations; watched
    max_conf_num: int = 1  # how many of them, in order of name, each pod is attached to; 0: all
    setup_serially: bool = False  # one network after the other
    conf_template: str = ""  # a file to be written into conf_dir when the kubelet tells the node's pod CIDR
    ip_pref: str = ""  # which of a pod's addresses is the first: ipv4, ipv6, or cni for the plugin's order; "" is ipv4
    use_internal_loopback: bool = False  # bring `lo` up without the loopback plugin


@dataclass(frozen=True)
class RuntimeSettings:
    """How containers are made, watched and looked at."""

    containerd: HandlerSettings = field(default_factory=HandlerSettings)
    cni: CniSettings = field(default_factory=CniSettings)
    enable_selinux: bool = False  # label containers; the policy must have labels for them
    selinux_category_range: int = 1024  # categories that pods' levels are made of; 0 gives no levels
    max_container_log_line_size: int = 16384  # bytes, then a line is split; -1 never
    disable_apparmor: bool = False  # containers run unconfined
    restrict_oom_score_adj: bool = False  # no score below cri-shim's own is asked for: for nodes in user namespaces
    disable_proc_mount: bool = False  # /proc is masked as the base spec says, not as the kubelet does
    unset_seccomp_profile: str = ""  # for containers that ask for no profile; "" is unconfined
    tolerate_missing_hugetlb_controller: bool = True  # where there is none, limits of huge pages are left out
    disable_hugetlb_controller: bool = True  # they are left out everywhere
    device_ownership_from_security_context: bool = False  # devices belong to the container's user
    ignore_image_defined_volumes: bool = False  # an image's VOLUMEs are not made
    netns_mounts_under_state_dir: bool = False  # pods' network namespaces are below `state`, not in /var/run/netns
    enable_unprivileged_ports: bool = True  # pods may bind ports below 1024 without a capability
    enable_unprivileged_icmp: bool = True  # pods may ping without a capability
    enable_cdi: bool = True  # devices by CDI names
    cdi_spec_dirs: tuple[str, ...] = ("/etc/cdi", "/var/run/cdi")  # CDI specifications; looked at for each container
    drain_exec_sync_io_timeout: Seconds = 0.0  # 0 stands for our own table's, which is bounded
    ignore_deprecation_warnings: tuple[str, ...] = ()  # what the condition in Status is not to tell
    stats_collect_period: Seconds = 1.0  # how often cgroups are read
    stats_retention_period: Seconds = 120.0
    enable_criu: bool = True  # checkpoints may be made
    enable_experimental_restore_via_create: bool = False  # CreateContainer takes a checkpoint's archive for an image
