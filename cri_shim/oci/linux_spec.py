"""The `linux` object of an OCI runtime specification, typed: namespaces, cgroup limits, devices, system call filter.

Source: runtime-spec's Go structs (`specs-go/config.go`), 1.2.1 with what 1.3.0 added, so that a document written by a
newer containerd or by a plugin survives being read and written again.
"""

from __future__ import annotations

import msgspec


class Oci(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An object of the document: camel case names, empty values left out unless a field has no default."""


class IdMapping(Oci, frozen=True):
    """One range of ids, inside and outside."""

    container_id: int = msgspec.field(name="containerID")
    host_id: int = msgspec.field(name="hostID")
    size: int


class Namespace(Oci, frozen=True):
    """A namespace: new, or the one at a path."""

    type: str
    path: str = ""


class Device(Oci, frozen=True):
    """A device node to make."""

    path: str
    type: str
    major: int
    minor: int
    file_mode: int | None = None
    uid: int | None = None
    gid: int | None = None


class DeviceRule(Oci, frozen=True):
    """A rule of the device cgroup; without numbers it is for all devices."""

    allow: bool
    type: str = ""
    major: int | None = None
    minor: int | None = None
    access: str = ""


class Memory(Oci, frozen=True):
    """Memory limits, bytes; `swap` is of memory and swap together."""

    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None
    kernel: int | None = None
    kernel_tcp: int | None = msgspec.field(name="kernelTCP", default=None)
    swappiness: int | None = None
    disable_oom_killer: bool | None = msgspec.field(name="disableOOMKiller", default=None)
    use_hierarchy: bool | None = None
    check_before_update: bool | None = None


class Cpu(Oci, frozen=True):
    """CPU limits; quota, period and burst in microseconds."""

    shares: int | None = None
    quota: int | None = None
    burst: int | None = None
    period: int | None = None
    realtime_runtime: int | None = None
    realtime_period: int | None = None
    cpus: str = ""
    mems: str = ""
    idle: int | None = None


class Pids(Oci, frozen=True):
    """How many processes there may be."""

    limit: int | None = None


class WeightDevice(Oci, frozen=True):
    """The weight of one block device."""

    major: int
    minor: int
    weight: int | None = None
    leaf_weight: int | None = None


class ThrottleDevice(Oci, frozen=True):
    """A rate limit for one block device: bytes or operations a second."""

    major: int
    minor: int
    rate: int


class BlockIo(Oci, frozen=True):
    """Limits of block device input and output."""

    weight: int | None = None
    leaf_weight: int | None = None
    weight_device: list[WeightDevice] = []
    throttle_read_bps_device: list[ThrottleDevice] = []
    throttle_write_bps_device: list[ThrottleDevice] = []
    throttle_read_iops_device: list[ThrottleDevice] = msgspec.field(name="throttleReadIOPSDevice", default_factory=list)
    throttle_write_iops_device: list[ThrottleDevice] = msgspec.field(
        name="throttleWriteIOPSDevice", default_factory=list
    )


class HugepageLimit(Oci, frozen=True):
    """A limit for huge pages of one size, bytes."""

    page_size: str
    limit: int


class InterfacePriority(Oci, frozen=True):
    """The priority of what goes out by one interface."""

    name: str
    priority: int


class Network(Oci, frozen=True):
    """The net_cls and net_prio controllers of cgroup v1."""

    class_id: int | None = msgspec.field(name="classID", default=None)
    priorities: list[InterfacePriority] = []


class Rdma(Oci, frozen=True):
    """Limits for one RDMA device."""

    hca_handles: int | None = None
    hca_objects: int | None = None


class Resources(Oci, frozen=True):
    """What the cgroup limits."""

    devices: list[DeviceRule] = []
    memory: Memory | None = None
    cpu: Cpu | None = None
    pids: Pids | None = None
    block_io: BlockIo | None = msgspec.field(name="blockIO", default=None)
    hugepage_limits: list[HugepageLimit] = []
    network: Network | None = None
    rdma: dict[str, Rdma] = {}
    unified: dict[str, str] = {}


class SeccompArgument(Oci, frozen=True):
    """A condition on one argument of a system call."""

    index: int
    value: int
    op: str
    value_two: int = 0


class SeccompRule(Oci, frozen=True):
    """What happens on some system calls."""

    names: list[str]
    action: str
    errno_ret: int | None = None
    args: list[SeccompArgument] = []


class Seccomp(Oci, frozen=True):
    """A system call filter."""

    default_action: str
    default_errno_ret: int | None = None
    architectures: list[str] = []
    flags: list[str] = []
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: list[SeccompRule] = []


class IntelRdt(Oci, frozen=True):
    """Cache and memory bandwidth classes."""

    clos_id: str = msgspec.field(name="closID", default="")
    schemata: list[str] = []
    l3_cache_schema: str = ""
    mem_bw_schema: str = ""
    enable_cmt: bool = msgspec.field(name="enableCMT", default=False)
    enable_mbm: bool = msgspec.field(name="enableMBM", default=False)
    enable_monitoring: bool = False


class Personality(Oci, frozen=True):
    """The execution domain, personality(2)."""

    domain: str
    flags: list[str] = []


class TimeOffset(Oci, frozen=True):
    """How far a clock is ahead in a time namespace."""

    secs: int = 0
    nanosecs: int = 0


class MemoryPolicy(Oci, frozen=True):
    """The NUMA policy, set_mempolicy(2)."""

    mode: str
    nodes: str
    flags: list[str] = []


class NetDevice(Oci, frozen=True):
    """The name, inside, of a network device that is moved in."""

    name: str = ""


class Linux(Oci, frozen=True):
    """What is Linux's own."""

    uid_mappings: list[IdMapping] = []
    gid_mappings: list[IdMapping] = []
    sysctl: dict[str, str] = {}
    resources: Resources | None = None
    cgroups_path: str = ""
    namespaces: list[Namespace] = []
    devices: list[Device] = []
    net_devices: dict[str, NetDevice] = {}
    seccomp: Seccomp | None = None
    rootfs_propagation: str = ""
    masked_paths: list[str] = []
    readonly_paths: list[str] = []
    mount_label: str = ""
    intel_rdt: IntelRdt | None = None
    memory_policy: MemoryPolicy | None = None
    personality: Personality | None = None
    time_offsets: dict[str, TimeOffset] = {}
