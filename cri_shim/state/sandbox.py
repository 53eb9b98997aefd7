"""A sandbox in memory: an immutable record of what was asked, a status of what happened, both replaced as a whole."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio

from cri_shim import codec
from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import FailedPrecondition

if TYPE_CHECKING:
    from google.protobuf import any_pb2

    from cri_shim.observe.timeline import Timeline
    from cri_shim.state.metadata import SandboxMetadata, UpdatedResources


class SandboxState(enum.Enum):
    """The states of a sandbox. The kubelet is told UNKNOWN as NOTREADY: then it stops and removes the pod."""

    READY = enum.auto()
    NOTREADY = enum.auto()
    UNKNOWN = enum.auto()


@dataclass(frozen=True)
class RuntimeChoice:
    """The containerd runtime that a sandbox and its containers run by: its name (`io.containerd.runc.v2`), options."""

    name: str
    options: any_pb2.Any | None = None
    path: str = ""  # of the shim binary, where the handler configures one
    snapshotter: str = "overlayfs"


@dataclass(frozen=True)
class SandboxStatus:
    """What happened to a sandbox. Times are nanoseconds since the epoch."""

    state: SandboxState
    created_at: int
    pid: int = 0
    exited_at: int = 0
    exit_status: int = 0
    updated: UpdatedResources | None = None  # None: they are as they were asked for


@dataclass(eq=False)
class Sandbox:
    """One pod sandbox. Verbs that change it hold `lock`; lists and status read it without."""

    metadata: SandboxMetadata
    status: SandboxStatus
    runtime: RuntimeChoice
    timeline: Timeline | None = None
    closing: bool = False  # set by Stop and Remove: no container may be created any more
    network_down: bool = False  # the namespace is gone, by us or with a boot
    detached: bool = False  # CNI DEL has succeeded since we started: it need not be repeated
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    exited: anyio.Event = field(default_factory=anyio.Event)  # the pause task has ended and been deleted
    _item: bytes | None = None

    @property
    def id(self) -> str:
        """The id, also of its containerd container, task, snapshot and lease."""
        return self.metadata.id

    def require_ready(self) -> None:
        """FailedPrecondition unless containers may be made and started in it."""
        if self.closing or self.status.state is not SandboxState.READY:
            raise FailedPrecondition(
                f"sandbox {self.id} ({self.metadata.name}) is not ready: stop and remove it, and run a new one"
            )

    def update_status(self, **changes: object) -> None:
        """Replace the status by one with `changes`."""
        self.status = replace(self.status, **changes)  # type: ignore[arg-type]
        self._item = None

    def update_metadata(self, metadata: SandboxMetadata) -> None:
        """Replace the record."""
        self.metadata = metadata
        self._item = None

    @property
    def cri_state(self) -> cri.PodSandboxState:
        """The state as the CRI spells it."""
        ready = self.status.state is SandboxState.READY
        return cri.PodSandboxState.SANDBOX_READY if ready else cri.PodSandboxState.SANDBOX_NOTREADY

    def list_item(self) -> bytes:
        """This sandbox as one `items` entry of a ListPodSandboxResponse, encoded; kept until something changes."""
        if self._item is None:
            config = self.metadata.config
            self._item = codec.item(
                1,
                cri.PodSandbox(
                    id=self.id,
                    metadata=config.metadata,
                    state=self.cri_state,
                    created_at=self.status.created_at,
                    labels=config.labels,
                    annotations=config.annotations,
                    runtime_handler=self.metadata.runtime_handler,
                ),
            )
        return self._item
