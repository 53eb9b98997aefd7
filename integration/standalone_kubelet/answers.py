"""What a kubelet answers, as far as the tests read it.

References: Kubernetes API, core/v1, PodStatus; k8s.io/kubelet/pkg/apis/stats/v1alpha1, Summary.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (msgspec reads the annotations)

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of an answer."""


class Waiting(Answer, frozen=True):
    """Why a container doesn't run yet."""

    reason: str = ""
    message: str = ""


class Running(Answer, frozen=True):
    """Since when a container runs."""

    started_at: datetime


class Terminated(Answer, frozen=True):
    """How a container ended."""

    exit_code: int
    started_at: datetime | None
    finished_at: datetime | None
    reason: str = ""
    message: str = ""
    signal: int = 0


class ContainerState(Answer, frozen=True):
    """One of three."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Answer, frozen=True):
    """A container's status."""

    name: str
    ready: bool
    restart_count: int
    image: str
    image_id: str = msgspec.field(name="imageID")
    container_id: str = msgspec.field(name="containerID", default="")
    started: bool | None = None
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()

    @property
    def id(self) -> str:
        """The runtime's id of it."""
        return self.container_id.rpartition("/")[2]

    @property
    def why_waiting(self) -> str:
        """The reason for which it waits; "" when it doesn't."""
        return self.state.waiting.reason if self.state.waiting else ""


class Condition(Answer, frozen=True):
    """One of a pod's conditions."""

    type: str
    status: str
    reason: str = ""


class PodStatus(Answer, frozen=True):
    """A pod's status."""

    phase: str = ""
    pod_ip: str = msgspec.field(name="podIP", default="")
    reason: str = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()

    def container(self, name: str = "main") -> ContainerStatus:
        """The status of a container, an init container's too. Raises `KeyError` when the kubelet has none yet."""
        for status in (*self.container_statuses, *self.init_container_statuses):
            if status.name == name:
                return status
        raise KeyError(name)

    def condition(self, kind: str) -> bool:
        """Whether a condition is true."""
        return any(one.type == kind and one.status == "True" for one in self.conditions)


class Metadata(Answer, frozen=True):
    """Who a pod is."""

    name: str
    namespace: str = ""
    uid: str = ""


class PodAnswer(Answer, frozen=True):
    """A pod of /pods."""

    metadata: Metadata
    status: PodStatus = PodStatus()


class PodList(Answer, frozen=True):
    """All of /pods."""

    items: tuple[PodAnswer, ...] | None = None


class Cpu(Answer, frozen=True):
    """What is used of CPUs."""

    usage_nano_cores: int | None = None
    usage_core_nano_seconds: int | None = None


class Memory(Answer, frozen=True):
    """What is used of memory, in bytes."""

    usage_bytes: int | None = None
    working_set_bytes: int | None = None
    rss_bytes: int | None = None
    available_bytes: int | None = None


class FileSystem(Answer, frozen=True):
    """What is used of a file system, in bytes."""

    used_bytes: int | None = None
    available_bytes: int | None = None
    capacity_bytes: int | None = None
    inodes_used: int | None = None


class Volume(FileSystem, frozen=True):
    """What a pod's volume uses."""

    name: str = ""


class Network(Answer, frozen=True):
    """What went through a pod's default interface."""

    name: str = ""
    rx_bytes: int | None = None
    tx_bytes: int | None = None


class Processes(Answer, frozen=True):
    """How many there are."""

    process_count: int | None = msgspec.field(name="process_count", default=None)


class ContainerUsage(Answer, frozen=True):
    """A container of the summary."""

    name: str
    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    rootfs: FileSystem = FileSystem()
    logs: FileSystem = FileSystem()


class PodUsage(Answer, frozen=True):
    """A pod of the summary."""

    pod_ref: Metadata
    containers: tuple[ContainerUsage, ...] = ()
    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    network: Network = Network()
    volume: tuple[Volume, ...] = ()
    ephemeral_storage: FileSystem = msgspec.field(name="ephemeral-storage", default=FileSystem())
    process_stats: Processes = msgspec.field(name="process_stats", default=Processes())

    def container(self, name: str = "main") -> ContainerUsage:
        """One of its containers. Raises `KeyError` when the summary has none of this name."""
        for usage in self.containers:
            if usage.name == name:
                return usage
        raise KeyError(name)


class RuntimeUsage(Answer, frozen=True):
    """What images and containers use."""

    image_fs: FileSystem | None = None
    container_fs: FileSystem | None = None


class NodeUsage(Answer, frozen=True):
    """The node of the summary."""

    node_name: str
    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    fs: FileSystem = FileSystem()
    runtime: RuntimeUsage = RuntimeUsage()


class Summary(Answer, frozen=True):
    """All of /stats/summary."""

    node: NodeUsage
    pods: tuple[PodUsage, ...] = ()

    def pod(self, name: str) -> PodUsage:
        """One of its pods. Raises `KeyError` when the summary has none of this name."""
        for usage in self.pods:
            if usage.pod_ref.name == name:
                return usage
        raise KeyError(name)
