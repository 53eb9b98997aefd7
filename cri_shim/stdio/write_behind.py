"""What logs have written goes on to the disk at once, a little at a time, by a thread of its own.

Left to the kernel, it would gather in memory until it is half a minute old or a tenth of all, and then go out at once:
every fsync of the node, those of containerd's store first of all, waits behind that. Measured on two cores beside ten
containers that log as fast as they can, the slowest pods took 4.0 s to go down, 20 times as long as on a node at rest,
and like this about as long as there (`python -m bench --only logs`). A log that says less than a piece's worth is left
to the kernel.

Sources: sync_file_range(2); the kernel's admin-guide/sysctl/vm.rst (dirty_background_ratio, dirty_expire_centisecs);
ext4's data=ordered, with which an fsync takes along what is on its way to the disk.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from cri_shim.linux import syscalls

if TYPE_CHECKING:
    from collections.abc import Callable

PIECE_BYTES = 2 << 20  # what an fsync may find on its way: some 10 ms
BOUND_BYTES = 128 << 20  # written, and not yet on the disk: above, who writes waits, as for the kernel at its own bound
REST_SECONDS = 1.0  # at most, after a piece that took the disk longer


@dataclass(frozen=True, slots=True)
class _Piece:
    fd: int  # of its own: the log may be closed meanwhile
    start: int
    length: int


class WriteBehind:
    """The thread, started when the first piece comes."""

    def __init__(
        self,
        send: Callable[[int, int, int], None] = syscalls.sync_file_range,
        rest: Callable[[float], None] = time.sleep,
        bound: int = BOUND_BYTES,
    ) -> None:
        """`send` has so many bytes of a file from an offset on the disk before it returns; it may raise OSError."""
        self._send = send
        self._rest = rest
        self._bound = bound
        self._pieces: deque[_Piece] = deque()
        self._bytes = 0  # of these, with the one that is being sent
        self._moved = threading.Condition()
        self._started = False

    def hand_over(self, fd: int, start: int, length: int) -> None:
        """Have these bytes of the file sent, after those before them; waits while too many wait.

        Raises OSError when there is no descriptor left.
        """
        piece = _Piece(os.dup(fd), start, length)
        with self._moved:
            self._moved.wait_for(lambda: self._bytes < self._bound)
            self._pieces.append(piece)
            self._bytes += length
            self._moved.notify_all()
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="log write-behind", daemon=True).start()

    def settled(self) -> None:
        """Return once all that was handed over has been sent."""
        with self._moved:
            self._moved.wait_for(lambda: not self._bytes)

    def _run(self) -> None:
        while True:
            with self._moved:
                self._moved.wait_for(lambda: bool(self._pieces))
                piece = self._pieces.popleft()
            begin = time.monotonic()
            try:
                with contextlib.suppress(OSError):  # no file of a disk's, or a disk's error: the writer's next meets it
                    self._send(piece.fd, piece.start, piece.length)
            finally:
                os.close(piece.fd)
                with self._moved:
                    self._bytes -= piece.length
                    self._moved.notify_all()
            self._rest(min(time.monotonic() - begin, REST_SECONDS))  # the other half of the disk's time is for others


@cache
def shared_write_behind() -> WriteBehind:
    """That of this process: all logs of a node are on one disk. It ends with the process."""
    return WriteBehind()
