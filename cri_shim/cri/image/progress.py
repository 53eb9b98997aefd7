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
_DOING: Final = {_DOWNLOADING: "fetch", _EXTRACTING: "unpack"}
_LAST: Final = {_DOWNLOADING: "fetch and unpack", _EXTRACTING: "unpack"}
_BLOBS: Final = ("index-", "manifest-", "config-", "layer-")  # and a digest


class Blob(msgspec.Struct, rename="camel"):
    """One blob of an image on its way: what happens to it, and how many of its bytes have come."""

    state: str = WAITING
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Done:
    """What has been done to a blob: `begin` is by `time.perf_counter`, `size` in bytes, 0 where it isn't known."""

    what: str
    blob: str
    begin: float
    size: int


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
    _begun: dict[str, float] = field(default_factory=dict)  # what is being done to a blob, by its name

    def update(self, progress: Progress) -> Done | None:
        """Take in one message; those that speak of no blob are of the pull as a whole. What it says has been done."""
        if not progress.name.startswith(_BLOBS):
            return None
        blob = self.blobs.setdefault(progress.name, Blob(state=""))
        before = blob.state, blob.done
        if progress.event == _COMPLETE:
            self._came(blob, progress.total)
        elif progress.event in (_DOWNLOADING, WAITING):
            self._came(blob, progress.progress)
        blob.state, blob.total = progress.event, progress.total or blob.total
        if (blob.state, blob.done) != before:
            self.moved = time.monotonic()
        return self._done(progress.name, before[0], blob)

    def _done(self, name: str, before: str, blob: Blob) -> Done | None:
        if blob.state == before:
            return None
        begin = self._begun.pop(name, None)
        if blob.state in _DOING:
            self._begun[name] = time.perf_counter()
        return Done(_DOING[before], name, begin, blob.total) if begin is not None else None

    def _came(self, blob: Blob, done: int) -> None:
        more = max(0, done - blob.done)
        blob.done += more
        self.bytes_read += more
        PULLED_BYTES.inc(more)

    def completed(self) -> None:
        """The pull has succeeded: what was still to come of the blobs that are known has come, told of or not."""
        for blob in self._outstanding():
            self._came(blob, blob.total)

    def rest(self) -> list[Done]:
        """What was being done when the transfer ended: containerd says nothing of its last quarter of a second."""
        return [
            Done(_LAST[blob.state], name, self._begun[name], blob.total)
            for name, blob in self.blobs.items()
            if name in self._begun
        ]

    def summary(self) -> dict[str, str]:
        """How far each blob is that is not done: `downloading 12/80 MB`."""
        return {
            name: f"{blob.state} {blob.done // 10**6}/{blob.total // 10**6} MB"
            for name, blob in self.blobs.items()
            if blob.state in (WAITING, *_DOING)
        }

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
