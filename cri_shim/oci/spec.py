"""The OCI runtime specification's `config.json`, typed, and its JSON as Go writes it.

Names, and what is left out when empty, are those of runtime-spec's Go structs (`specs-go/config.go`), because
containerd, its tools and cAdvisor read the stored document with them. Keys that are not here (those of other operating
systems) are dropped on reading.
"""

# ruff: noqa: RUF012  (an Oci is a msgspec.Struct, which copies a default that can change)

from __future__ import annotations

from typing import TypeVar

import msgspec

from cri_shim.oci.linux_spec import IdMapping, Linux, Oci

SPEC_TYPE_URL = "types.containerd.io/opencontainers/runtime-spec/1/Spec"
PROCESS_TYPE_URL = "types.containerd.io/opencontainers/runtime-spec/1/Process"
RESOURCES_TYPE_URL = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
OCI_VERSION = "1.2.1"

T = TypeVar("T", bound=Oci)


class User(Oci, frozen=True):
    """Who a process runs as."""

    uid: int
    gid: int
    umask: int | None = None
    additional_gids: list[int] = []
    username: str = ""


class Capabilities(Oci, frozen=True):
    """The five capability sets, by `CAP_` names."""

    bounding: list[str] = []
    effective: list[str] = []
    inheritable: list[str] = []
    permitted: list[str] = []
    ambient: list[str] = []


class Rlimit(Oci, frozen=True):
    """One resource limit of a process."""

    type: str
    hard: int
    soft: int


class ConsoleSize(Oci, frozen=True):
    """The size of a terminal, characters."""

    height: int
    width: int


class Scheduler(Oci, frozen=True):
    """How a process is scheduled, sched_setattr(2); times in nanoseconds."""

    policy: str
    nice: int = 0
    priority: int = 0
    flags: list[str] = []
    runtime: int = 0
    deadline: int = 0
    period: int = 0


class IoPriority(Oci, frozen=True):
    """The class and priority of input and output, ioprio_set(2)."""

    class_: str = msgspec.field(name="class")
    priority: int


class CpuAffinity(Oci, frozen=True):
    """The CPUs of an exec'ed process, at its start and then."""

    initial: str = ""
    final: str = ""


class Process(Oci, frozen=True):
    """What is run, and as what."""

    # Fields that Go writes even when empty: msgspec leaves a default out, but not what a factory of ours returns.
    user: User = msgspec.field(default_factory=lambda: User(0, 0))
    cwd: str = msgspec.field(default_factory=lambda: "/")
    terminal: bool = False
    console_size: ConsoleSize | None = None
    args: list[str] = []
    env: list[str] = []
    capabilities: Capabilities | None = None
    rlimits: list[Rlimit] = []
    no_new_privileges: bool = False
    apparmor_profile: str = ""
    oom_score_adj: int | None = None
    scheduler: Scheduler | None = None
    selinux_label: str = ""
    io_priority: IoPriority | None = None
    exec_cpu_affinity: CpuAffinity | None = msgspec.field(name="execCPUAffinity", default=None)


class Root(Oci, frozen=True):
    """The root file system; the path is relative to the bundle."""

    path: str
    readonly: bool = False


class Mount(Oci, frozen=True):
    """One mount."""

    destination: str
    type: str = ""
    source: str = ""
    options: list[str] = []
    uid_mappings: list[IdMapping] = []
    gid_mappings: list[IdMapping] = []


class Hook(Oci, frozen=True):
    """A program that the runtime runs at a point of the life; its time-out in seconds."""

    path: str
    args: list[str] = []
    env: list[str] = []
    timeout: int | None = None


class Hooks(Oci, frozen=True):
    """The hooks, by point of the life."""

    prestart: list[Hook] = []
    create_runtime: list[Hook] = []
    create_container: list[Hook] = []
    start_container: list[Hook] = []
    poststart: list[Hook] = []
    poststop: list[Hook] = []


class Spec(Oci, frozen=True):
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
    """The document of class `kind` in `data`; a null counts as an absent key, as in Go.

    Raises msgspec.MsgspecError for what is no JSON, or of another shape.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        return msgspec.convert(without_nulls(msgspec.json.decode(data)), type=kind)


def without_nulls(value: object) -> object:
    """The JSON value without the members that are null: Go reads those as absent."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
