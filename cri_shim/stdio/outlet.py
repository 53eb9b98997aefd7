"""A container's stdout or stderr on its way from the FIFO to the log and to whoever listens."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cri_shim.observe.containerd_names import LOG_VOLUME
from cri_shim.stdio.cri_log import LineFormatter, timestamp
from cri_shim.stdio.fifos import PIPE_SIZES
from cri_shim.stdio.pump import READ_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from cri_shim.stdio.log_writer import LogWriter
    from cri_shim.stdio.subscription import Stream, Subscription

DRAIN_READS = 2 * PIPE_SIZES[0] // READ_BYTES


@dataclass(eq=False)
class Outlet:
    """One open read end. Belongs to the pump's thread from the moment it is watched."""

    stream: Stream
    fd: int
    writer: LogWriter | None  # None: what is said is not kept
    line_limit: int
    listeners: list[Subscription]
    ended: Callable[[Outlet], None]
    refused: Callable[[], None]  # the disk took less than all
    _lines: LineFormatter = field(init=False)

    def __post_init__(self) -> None:
        self._lines = LineFormatter(self.stream, self.line_limit)

    def advance(self) -> int:
        """Move one buffer; how many bytes, 0 at the end."""
        data = os.read(self.fd, READ_BYTES)
        if data:
            self._pass_on(data)
        return len(data)

    def finish(self) -> None:
        """The end was read: write what is left of the last line and say so."""
        self.close()
        self.ended(self)

    def drain(self) -> None:
        """Move what is in the pipe now, as far as a container that never stops lets us."""
        for _ in range(DRAIN_READS):
            try:
                data = os.read(self.fd, READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                return
            self._pass_on(data)

    def close(self) -> None:
        """Write the unfinished line and let go of the FIFO; a reader that comes later goes on behind it."""
        if self.writer is not None:
            self._write(self.writer, self._lines.finish(timestamp(time.time_ns())))
            self._count(0)
        os.close(self.fd)

    def _pass_on(self, data: bytes) -> None:
        if self.writer is not None:
            self._write(self.writer, self._lines.feed(data, timestamp(time.time_ns())))
            self._count(len(data))
        for listener in self.listeners:
            listener.offer(self.stream, data)

    def _count(self, size: int) -> None:
        lines = self._lines
        LOG_VOLUME.input_bytes += size
        LOG_VOLUME.input_entries += lines.lines
        LOG_VOLUME.split_entries += lines.splits
        LOG_VOLUME.output_entries += lines.lines + lines.splits
        lines.lines = lines.splits = 0

    def _write(self, writer: LogWriter, records: bytes) -> None:
        if records:
            writer.write(records)
            if not writer.flushed:
                self.refused()
