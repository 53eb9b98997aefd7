"""The `status` file of a container: what happened to it, as containerd's CRI plugin checkpoints it.

Starting, removing and unknown are not stored: they are states of a server, not of a container.
Source: containerd `internal/cri/store/container/status.go`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import DataLoss
from cri_shim.linux.files import write_atomic
from cri_shim.state.container import ContainerStatus
from cri_shim.state.go_json import from_json_value, to_json_value

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "status"


class _Checkpoint(msgspec.Struct, rename="pascal"):
    version: str = "v1"
    pid: int = 0
    created_at: int = 0
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    resources: dict[str, object] | None = None


def encode(status: ContainerStatus) -> bytes:
    """The file's content for `status`."""
    return msgspec.json.encode(
        _Checkpoint(
            pid=status.pid,
            created_at=status.created_at,
            started_at=status.started_at,
            finished_at=status.finished_at,
            exit_code=status.exit_code,
            reason=status.reason,
            message=status.message,
            resources=dict(to_json_value(status.resources)) if status.resources else None,
        )
    )


def decode(data: bytes) -> ContainerStatus:
    """The status that a file's content tells of; DataLoss when it is damaged or of another version."""
    try:
        found = msgspec.json.decode(data, type=_Checkpoint)
    except msgspec.DecodeError as error:
        raise DataLoss(f"container status checkpoint can't be read: {error}") from error
    if found.version != "v1":
        raise DataLoss(f"container status checkpoint has version {found.version!r}; this cri-shim reads v1 only")
    resources = msgspec.convert(found.resources, type=dict) if found.resources is not None else None
    return ContainerStatus(
        pid=found.pid,
        created_at=found.created_at,
        started_at=found.started_at,
        finished_at=found.finished_at,
        exit_code=found.exit_code,
        reason=found.reason,
        message=found.message,
        resources=from_json_value(cri.ContainerResources, resources) if resources is not None else None,
    )


def write(root: Path | str, status: ContainerStatus) -> None:
    """Write the checkpoint into the container's directory, durably and as a whole. Blocks: call it in a thread.

    A missing directory is made: a removal that was cut off may have left the container without one.
    """
    os.makedirs(root, 0o755, exist_ok=True)
    write_atomic(os.path.join(root, FILE_NAME), encode(status), 0o600)


def read(root: Path | str) -> ContainerStatus:
    """Read the checkpoint of the container whose directory is `root`. Blocks. Raises DataLoss, also when missing."""
    try:
        with open(os.path.join(root, FILE_NAME), "rb") as file:
            return decode(file.read())
    except OSError as error:
        raise DataLoss(f"container status checkpoint {os.path.join(root, FILE_NAME)}: {error.strerror}") from error
