"""A container in memory: an immutable record of what was asked, a status of what happened, both replaced as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio

from cri_shim import codec
from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import Unknown

if TYPE_CHECKING:
    from cri_shim.observe.timeline import Timeline
    from cri_shim.oci.spec import Process
    from cri_shim.state.metadata import ContainerMetadata
    from cri_shim.state.sandbox import RuntimeChoice
    from cri_shim.stdio.container_io import ContainerIo

UNKNOWN_EXIT_CODE = 255
START_ERROR_EXIT_CODE = 128
REASON_COMPLETED = "Completed"
REASON_ERROR = "Error"
REASON_OOM_KILLED = "OOMKilled"
REASON_START_ERROR = "StartError"
REASON_UNKNOWN = "Unknown"


@dataclass(frozen=True)
class ContainerStatus:
    """What happened to a container. Times are nanoseconds since the epoch, 0 for not yet."""

    created_at: int = 0
    started_at: int = 0
    finished_at: int = 0
    pid: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    resources: cri.ContainerResources | None = None
    unknown: bool = False  # not stored: what containerd tells of it makes no sense

    @property
    def state(self) -> cri.ContainerState:
        """The state that the times tell of."""
        if self.unknown:
            return cri.ContainerState.CONTAINER_UNKNOWN
        if self.finished_at:
            return cri.ContainerState.CONTAINER_EXITED
        if self.started_at:
            return cri.ContainerState.CONTAINER_RUNNING
        if self.created_at:
            return cri.ContainerState.CONTAINER_CREATED
        return cri.ContainerState.CONTAINER_UNKNOWN

    @property
    def shown_reason(self) -> str:
        """The reason as ContainerStatus answers it: a stored one, else what the exit code tells."""
        if self.reason or self.state is not cri.ContainerState.CONTAINER_EXITED:
            return self.reason
        return REASON_ERROR if self.exit_code else REASON_COMPLETED


@dataclass(eq=False)
class Container:
    """One container. Verbs that change it hold `lock`; lists and status read it without."""

    metadata: ContainerMetadata
    status: ContainerStatus
    runtime: RuntimeChoice
    process: Process  # of its OCI spec: the user for status, and what an exec starts from
    mount_label: str = ""  # of its OCI spec: the SELinux label of its root file system
    io: ContainerIo | None = None
    restore_from: str = ""  # the directory of a checkpoint, until the container has been started from it
    timeline: Timeline | None = None
    removing: bool = False
    stop_signal_sent: bool = False
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    checkpoint_lock: anyio.Lock = field(default_factory=anyio.Lock)  # taken last, for one write
    exited: anyio.Event = field(default_factory=anyio.Event)  # set when the exit is in the status
    _item: bytes | None = None

    @property
    def id(self) -> str:
        """The id, also of its containerd container, task and snapshot."""
        return self.metadata.id

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self.status.state is cri.ContainerState.CONTAINER_RUNNING

    def require_running(self) -> None:
        """Unknown, as containerd's plugin answers, unless its process runs."""
        if not self.running:
            raise Unknown(f"container {self.id} is in {self.status.state.name} state: it has to be running for this")

    def update_status(self, **changes: object) -> None:
        """Replace the status by one with `changes`."""
        self.status = replace(self.status, **changes)  # type: ignore[arg-type]
        self._item = None

    def list_item(self) -> bytes:
        """This container as one `containers` entry of a ListContainersResponse, encoded; kept until it changes."""
        if self._item is None:
            metadata, config = self.metadata, self.metadata.config
            self._item = codec.item(
                1,
                cri.Container(
                    id=self.id,
                    pod_sandbox_id=metadata.sandbox_id,
                    metadata=config.metadata,
                    image=config.image,
                    image_ref=metadata.image_ref,
                    image_id=metadata.image_ref,
                    state=self.status.state,
                    created_at=self.status.created_at,
                    labels=config.labels,
                    annotations=config.annotations,
                ),
            )
        return self._item
