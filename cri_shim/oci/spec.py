"""The OCI runtime specification's `config.json`, typed, and its JSON as Go writes it.

Names, and what is left out when empty, are those of runtime-spec's Go structs (`specs-go/config.go`), because
containerd, its tools and cAdvisor read the stored document with them. Keys that are not here are dropped on reading,
as Go drops them.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

SPEC_TYPE_URL = "types.containerd.io/opencontainers/runtime-spec/1/Spec"
PROCESS_TYPE_URL = "types.containerd.io/opencontainers/runtime-spec/1/Process"
RESOURCES_TYPE_URL = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
OCI_VERSION = "1.2.1"

T = TypeVar("T", bound="Oci")


class Oci(msgspec.Struct, rename="camel", omit_defaults=True):
    """An object of the document: camel case names, empty values left out unless a field has no default."""


class User(Oci):
    """Who a process runs as."""

    uid: int
    gid: int
    umask: int | None = None
    additional_gids: list[int] = []
    username: str = ""


class Capabilities(Oci):
    """The five capability sets."""

    bounding: list[str] = []
    effective: list[str] = []
    inheritable: list[str] = []
    permitted: list[str] = []
    ambient: list[str] = []


class Rlimit(Oci):
    """One resource limit of a process."""

    type: str
    hard: int
    soft: int


class Process(Oci):
    """What is run, and as what."""

    user: User = msgspec.field(default_factory=lambda: User(0, 0))
    cwd: str = msgspec.field(default_factory=lambda: "/")
    terminal: bool = False
    args: list[str] = []
    env: list[str] = []
    capabilities: Capabilities | None = None
    rlimits: list[Rlimit] = []
    no_new_privileges: bool = False
    apparmor_profile: str = ""
    oom_score_adj: int | None = None
    selinux_label: str = ""


class Root(Oci):
    """The root file system."""

    path: str
    readonly: bool = False


class IdMapping(Oci):
    """One range of ids, inside and outside."""

    container_id: int = msgspec.field(name="containerID")
    host_id: int = msgspec.field(name="hostID")
    size: int


class Mount(Oci):
    """One mount."""

    destination: str
    type: str = ""
    source: str = ""
    options: list[str] = []
    uid_mappings: list[IdMapping] = []
    gid_mappings: list[IdMapping] = []


class Hook(Oci):
    """A program that the runtime runs at a point of the life."""

    path: str
    args: list[str] = []
    env: list[str] = []
    timeout: int | None = None


class Hooks(Oci, rename={"create_runtime": "createRuntime", "create_container": "createContainer",
                         "start_container": "startContainer"}):  # fmt: skip
    """The hooks, by point of the life."""

    prestart: list[Hook] = []
    create_runtime: list[Hook] = []
    create_container: list[Hook] = []
    start_container: list[Hook] = []
    poststart: list[Hook] = []
    poststop: list[Hook] = []


class Namespace(Oci):
    """A namespace: new, or the one at a path."""

    type: str
    path: str = ""


class Device(Oci):
    """A device node to make."""

    path: str
    type: str
    major: int
    minor: int
    file_mode: int | None = None
    uid: int | None = None
    gid: int | None = None


class DeviceRule(Oci):
    """A rule of the device cgroup."""

    allow: bool
    type: str = ""
    major: int | None = None
    minor: int | None = None
    access: str = ""


class Memory(Oci):
    """Memory limits, bytes."""

    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None
    kernel: int | None = None
    kernel_tcp: int | None = msgspec.field(name="kernelTCP", default=None)
    swappiness: int | None = None
    disable_oom_killer: bool | None = msgspec.field(name="disableOOMKiller", default=None)


class Cpu(Oci):
    """CPU limits."""

    shares: int | None = None
    quota: int | None = None
    burst: int | None = None
    period: int | None = None
    realtime_runtime: int | None = None
    realtime_period: int | None = None
    cpus: str = ""
    mems: str = ""
    idle: int | None = None


class Pids(Oci):
    """How many processes there may be."""

    limit: int


class HugepageLimit(Oci):
    """A limit for huge pages of one size."""

    page_size: str
    limit: int


class Resources(Oci, rename={"hugepage_limits": "hugepageLimits"}):
    """What the cgroup limits."""

    devices: list[DeviceRule] = []
    memory: Memory | None = None
    cpu: Cpu | None = None
    pids: Pids | None = None
    hugepage_limits: list[HugepageLimit] = []
    unified: dict[str, str] = {}


class SeccompArgument(Oci):
    """A condition on one argument of a system call."""

    index: int
    value: int
    op: str
    value_two: int = 0


class SeccompRule(Oci):
    """What happens on some system calls."""

    names: list[str]
    action: str
    errno_ret: int | None = None
    args: list[SeccompArgument] = []


class Seccomp(Oci):
    """A system call filter."""

    default_action: str
    default_errno_ret: int | None = None
    architectures: list[str] = []
    flags: list[str] = []
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: list[SeccompRule] = []


class IntelRdt(Oci):
    """Cache and memory bandwidth classes."""

    clos_id: str = msgspec.field(name="closID", default="")
    l3_cache_schema: str = ""
    mem_bw_schema: str = ""


class Linux(Oci):
    """What is Linux's own."""

    uid_mappings: list[IdMapping] = []
    gid_mappings: list[IdMapping] = []
    sysctl: dict[str, str] = {}
    resources: Resources | None = None
    cgroups_path: str = ""
    namespaces: list[Namespace] = []
    devices: list[Device] = []
    seccomp: Seccomp | None = None
    rootfs_propagation: str = ""
    masked_paths: list[str] = []
    readonly_paths: list[str] = []
    mount_label: str = ""
    intel_rdt: IntelRdt | None = None


class Spec(Oci):
    """The whole document."""

    oci_version: str = msgspec.field(default_factory=lambda: OCI_VERSION)
    process: Process | None = None
    root: Root | None = None
    hostname: str = ""
    domainname: str = ""
    mounts: list[Mount] = []
    hooks: Hooks | None = None
    annotations: dict[str, str] = {}
    linux: Linux | None = None


def to_json(document: Oci) -> bytes:
    """The JSON of a spec, or of a part of one."""
    return msgspec.json.encode(document)


def from_json(data: bytes, kind: type[T]) -> T:
    """The document of class `kind` in `data`. Raises msgspec.ValidationError or DecodeError for another shape."""
    return msgspec.json.decode(data, type=kind)
