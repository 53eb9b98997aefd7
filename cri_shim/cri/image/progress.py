"""How a pull gets on: what the Transfer service tells, and for how long nothing has moved.

containerd's plugin looks at downloads alone, and only once their first bytes are in the store: a registry that takes a
connection and says nothing holds its pull for ever. Here everything counts that waits for a registry. What unpacks does
not; nor does a pull whose blobs all wait for their turn while other pulls have theirs (`Pulls.stalled_for`).
Source: containerd `core/transfer/progress.go`, `internal/cri/server/images/image_pull.go` (`pullProgressReporter`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from cri_shim.observe.metrics import PULLED_BYTES

if TYPE_CHECKING:
    from cri_shim.api.containerd.types.transfer.progress_pb2 import Progress

WAITING: Final = "waiting"
_DOWNLOADING: Final = "downloading"
_COMPLETE: Final = "complete"
_EXTRACTING: Final = "extracting"
_BLOBS: Final = ("index-", "manifest-", "config-", "layer-")  # and a digest


class Blob(msgspec.Struct, rename="camel"):
    """One blob of an image on its way: what happens to it, and how many of its bytes have come."""

    state: str = WAITING
    done: int = 0
    total: int = 0


@dataclass
class PullProgress:
    """One pull. `blobs` go by containerd's names of them (`layer-sha256:…`), in the order in which they turned up.

    `moved` is when bytes last came, or something else last changed.
    """

    image: str = ""
    blobs: dict[str, Blob] = field(default_factory=dict)
    bytes_read: int = 0
    began: float = field(default_factory=time.time)
    moved: float = field(default_factory=time.monotonic)

    def update(self, progress: Progress) -> None:
        """Take in one message; those that speak of no blob are of the pull as a whole."""
        if not progress.name.startswith(_BLOBS):
            return
        blob = self.blobs.setdefault(progress.name, Blob(state=""))
        before = blob.state, blob.done
        if progress.event == _COMPLETE:
            self._came(blob, progress.total)
        elif progress.event in (_DOWNLOADING, WAITING):
            self._came(blob, progress.progress)
        blob.state, blob.total = progress.event, progress.total or blob.total
        if (blob.state, blob.done) != before:
            self.moved = time.monotonic()

    def _came(self, blob: Blob, done: int) -> None:
        more = max(0, done - blob.done)
        blob.done += more
        self.bytes_read += more
        PULLED_BYTES.inc(more)

    @property
    def waits_its_turn(self) -> bool:
        """Whether no byte of any blob that is outstanding has come."""
        return all(not blob.done for blob in self._outstanding())

    def stalled_for(self) -> float:
        """Seconds since anything moved; 0 when nothing is waited for."""
        if any(blob.state == _EXTRACTING for blob in self.blobs.values()):
            return 0.0
        if self.blobs and not self._outstanding():
            return 0.0
        return time.monotonic() - self.moved

    def _outstanding(self) -> list[Blob]:
        return [blob for blob in self.blobs.values() if blob.state in (WAITING, _DOWNLOADING)]
