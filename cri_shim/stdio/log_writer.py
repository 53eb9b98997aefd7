"""The log file of a container: appended to, reopened after a rotation, and patient with a disk that refuses.

A write that fails keeps its records, up to a bound, and is tried again; the container goes on meanwhile. Past the
bound the newest records are dropped and counted, and the operator is told when it begins and when it is over. A record
is in the file whole or not at all. A log that grows fast is sent to the disk as it grows (`write_behind`).
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from cri_shim.observe.containerd_names import LOG_VOLUME
from cri_shim.observe.dependencies import LOG_LINES_LOST
from cri_shim.stdio.write_behind import PIECE_BYTES, shared_write_behind

if TYPE_CHECKING:
    from collections.abc import Callable

    from cri_shim.stdio.write_behind import WriteBehind

log = structlog.get_logger(__name__)

BACKLOG_BYTES = 1 << 20
DEFAULT_LINE_LIMIT = 16384
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


@dataclass(frozen=True)
class LogFile:
    """Where a container's log goes, and the most bytes of content that a record has (0: any)."""

    path: str
    line_limit: int = DEFAULT_LINE_LIMIT


class LogWriter:
    """The open file. All methods block on the disk, and one thread calls them all."""

    def __init__(self, path: str, behind: WriteBehind | None = None) -> None:
        """`behind` is who sends it to the disk, for tests; else that of the process."""
        self.path = path
        self.lost_lines = 0
        self._behind = behind
        self._unsent = 0  # bytes at the file's end
        self._fd: int | None = None
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._failing = False
        self._closed = False

    @property
    def flushed(self) -> bool:
        """Whether all that was given to `write` is in the file, or given up."""
        return not self._backlog

    def open(self) -> None:
        """Have the file there before the first record. Never raises for the disk's sake."""
        try:
            if self._fd is None:
                self._fd = _open(self.path)
        except OSError as error:
            self._failed(error)

    def write(self, records: bytes) -> None:
        """Append whole records. Never raises for the disk's sake: what can't be written waits for `retry`."""
        if self._backlog:
            self._keep(records)
        elif rest := self._append(records):
            self._keep(rest)

    def retry(self) -> bool:
        """Try to write what waits; whether nothing waits any more."""
        while self._backlog:
            rest = self._append(self._backlog[0])
            self._backlog_bytes -= len(self._backlog[0]) - len(rest)
            LOG_VOLUME.waiting -= len(self._backlog[0]) - len(rest)
            if rest:
                self._backlog[0] = rest
                return False
            self._backlog.popleft()
        self._recovered()
        return True

    def reopen(self) -> None:
        """Go on in a new file at the path. Raises OSError and goes on in the old one if that can't be opened."""
        if self._closed:
            return
        fd = _open(self.path)
        self._close()
        self._fd = fd
        self.retry()

    def close(self) -> None:
        """Close the file for good; what still waits is tried once more and then given up."""
        self._closed = True
        if not self.retry():
            self._lose(b"".join(self._backlog))
            LOG_VOLUME.waiting -= self._backlog_bytes
            self._backlog.clear()
            self._tell(log.error, "log lines lost: the log could not be written", lines=self.lost_lines)
        self._close()

    def _append(self, records: bytes) -> bytes:
        """Write; what could not be written, beginning with a whole record."""
        done = 0
        try:
            if self._fd is None:
                self._fd = _open(self.path)
            while done < len(records):
                written = os.write(self._fd, memoryview(records)[done:] if done else records)
                done += written
                LOG_VOLUME.output_bytes += written
        except OSError as error:
            self._failed(error)
            return records[self._whole(records, done) :]
        self._grown(self._fd, done)
        return b""

    def _grown(self, fd: int, length: int) -> None:
        self._unsent += length
        if self._unsent >= PIECE_BYTES:
            end = os.lseek(fd, 0, os.SEEK_CUR)  # O_APPEND has left it behind what it wrote
            with contextlib.suppress(OSError):  # no descriptor left: then the kernel sends it, some time
                (self._behind or shared_write_behind()).hand_over(fd, end - self._unsent, self._unsent)
            self._unsent = 0

    def _whole(self, records: bytes, done: int) -> int:
        """Where the last whole record of the `done` bytes ends; the part of one behind it is taken off the file."""
        whole = records.rfind(b"\n", 0, done) + 1
        if whole < done and self._fd is not None:
            try:
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - (done - whole))
            except OSError as error:
                self._tell(log.error, "a cut record stays in the log", error=str(error))
        return whole

    def _keep(self, records: bytes) -> None:
        if self._backlog_bytes + len(records) > BACKLOG_BYTES:
            self._lose(records)
            return
        self._backlog.append(records)
        self._backlog_bytes += len(records)
        LOG_VOLUME.waiting += len(records)

    def _lose(self, records: bytes) -> None:
        lost = records.count(b"\n")
        self.lost_lines += lost
        LOG_VOLUME.output_entries -= lost
        LOG_LINES_LOST.inc(lost)

    def _failed(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            self._tell(
                log.error,
                "log can't be written: lines are kept up to a bound, then dropped; free the disk or mend the directory",
                error=str(error),
                bound=BACKLOG_BYTES,
            )

    def _recovered(self) -> None:
        if self._failing:
            self._failing = False
            self._tell(log.warning, "log is written again", lost_lines=self.lost_lines)

    def _tell(self, say: Callable[..., object], event: str, **details: object) -> None:
        """Report; our own log may be on the disk that is full, and must not end the container's."""
        with contextlib.suppress(OSError):
            say(event, path=self.path, **details)

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            self._unsent = 0


def _open(path: str) -> int:
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    return os.open(path, _FLAGS, 0o640)
