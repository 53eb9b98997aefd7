"""The pulls that are under way: for the log, for metrics, and for whoever asks how far they are."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import structlog

from cri_shim.cri.image.progress import Blob, PullProgress
from cri_shim.observe.containerd_names import PULL_THROUGHPUT, PULLS, PULLS_UNDER_WAY
from cri_shim.observe.metrics import PULL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cri_shim.observe.timeline import Timeline

log = structlog.get_logger(__name__)


_MEBIBYTE = 1 << 20
_REMEMBERED = 256  # timelines


class PullUnderWay(msgspec.Struct, rename="camel"):
    """One pull as it is told of: blobs by containerd's names, sizes in bytes, `began` in seconds since the epoch."""

    image: str
    began: float
    bytes_read: int
    blobs: dict[str, Blob]


class Pulls:
    """Those under way, in the order in which they began."""

    def __init__(self) -> None:
        self._under_way: list[PullProgress] = []
        self._timelines: dict[str, Timeline] = {}  # by image id, the newest last

    @contextmanager
    def begin(self, image: str) -> Iterator[PullProgress]:
        """A pull, for as long as the block lasts."""
        progress = PullProgress(image)
        begin, status = time.monotonic(), "failure"
        self._under_way.append(progress)
        PULLS_UNDER_WAY.inc()
        try:
            yield progress
            status = "success"
            progress.completed()
            seconds = time.monotonic() - begin
            PULL_SECONDS.observe(seconds)
            if progress.bytes_read:
                PULL_THROUGHPUT.observe(progress.bytes_read / _MEBIBYTE / seconds)
        finally:
            self._under_way.remove(progress)
            PULLS_UNDER_WAY.dec()
            PULLS.labels(status).inc()
            log.info("pull ended", image=image, status=status, bytes=progress.bytes_read, ms=_milliseconds(begin))

    def stalled_for(self, progress: PullProgress) -> float:
        """For how many seconds nothing has come that a pull waits for. It may wait for its turn: others then move."""
        if progress.blobs and progress.waits_its_turn:
            since_any_moved = time.monotonic() - max(one.moved for one in self._under_way)
            return min(progress.stalled_for(), since_any_moved)
        return progress.stalled_for()

    def keep(self, image_id: str, timeline: Timeline) -> None:
        """Remember where the time of a pull went; one that joined another's has no steps of its own."""
        if timeline.steps:
            self._timelines.pop(image_id, None)
            self._timelines[image_id] = timeline
            if len(self._timelines) > _REMEMBERED:
                del self._timelines[next(iter(self._timelines))]

    def timeline(self, image_id: str) -> Timeline | None:
        """Where the time of an image's last pull went."""
        return self._timelines.get(image_id)

    def under_way(self) -> list[PullUnderWay]:
        """How far each is."""
        return [PullUnderWay(one.image, one.began, one.bytes_read, one.blobs) for one in self._under_way]


def _milliseconds(begin: float) -> float:
    return round((time.monotonic() - begin) * 1000, 2)
