"""How a pull gets on: what the Transfer service tells, and for how long nothing has moved.

Only downloads count: a pull that unpacks, or waits for its turn, is not stalled.
Source: containerd `core/transfer/progress.go`, `internal/cri/server/images/image_pull.go` (`pullProgressReporter`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cri_shim.api.containerd.types.transfer.progress_pb2 import Progress

_DOWNLOADING, _WAITING = "downloading", "waiting"


@dataclass
class PullProgress:
    """The downloads of one pull; `moved` is when bytes last came, or when there was last nothing to wait for."""

    bytes_read: int = 0
    moved: float = field(default_factory=time.monotonic)
    _active: dict[str, int] = field(default_factory=dict)

    def update(self, progress: Progress) -> None:
        """Take in one message."""
        if not progress.name:
            return
        before = self._active.get(progress.name, 0)
        if progress.event == _DOWNLOADING or (progress.event == _WAITING and progress.progress):
            if progress.progress > before or progress.name not in self._active:
                self.moved = time.monotonic()
            self.bytes_read += max(0, progress.progress - before)
            self._active[progress.name] = progress.progress
        elif self._active.pop(progress.name, None) is not None:
            self.moved = time.monotonic()

    def stalled_for(self) -> float:
        """Seconds since bytes last came, 0 when no download is under way."""
        return time.monotonic() - self.moved if self._active else 0.0
