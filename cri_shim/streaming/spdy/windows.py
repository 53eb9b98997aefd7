"""Flow control: how much may be sent before the other end has asked for more.

Kubernetes' SPDY library neither keeps windows nor opens them: with it, only TCP holds a sender back, and a sender that
waited for its WINDOW_UPDATE would wait for ever after 64 KiB. So everything is counted from the first byte, but our own
sending is held to the count only once the peer has shown that it counts as well, by a WINDOW_UPDATE or an initial
window in its SETTINGS. The peer's sending is bounded by whoever reads the socket, not by a window: the library
overruns any. Source: section 2.6.8, and 3.1's window for the connection, stream 0.
"""

from __future__ import annotations

from cri_shim.streaming.spdy.frames import STREAM_ID

INITIAL = 64 << 10
CONNECTION = 0


class SendWindows:
    """What we may send. Below zero: after a smaller initial window, or before the peer was known to count."""

    def __init__(self) -> None:
        self.kept = False  # whether the peer counts, too
        self._initial = INITIAL
        self._left = {CONNECTION: INITIAL}

    def open(self, stream_id: int) -> None:
        """Begin to count for a stream."""
        self._left[stream_id] = self._initial

    def close(self, stream_id: int) -> None:
        """Forget a stream."""
        self._left.pop(stream_id, None)

    def sent(self, stream_id: int, length: int) -> None:
        """Count what goes out."""
        self._left[stream_id] -= length
        self._left[CONNECTION] -= length

    def room(self, stream_id: int) -> int | None:
        """The bytes that may be sent now; None where nobody counts."""
        return max(0, min(self._left[stream_id], self._left[CONNECTION])) if self.kept else None

    def more(self, stream_id: int, delta: int) -> bool:
        """The peer asks for `delta` bytes more; False if its window would become larger than there can be."""
        self.kept = True
        if stream_id in self._left:
            self._left[stream_id] += delta
        return self._left.get(stream_id, 0) <= STREAM_ID

    def initially(self, size: int) -> None:
        """The peer gives each stream `size` bytes to begin with, those that are open included."""
        self.kept = True
        for stream_id in self._left.keys() - {CONNECTION}:
            self._left[stream_id] += size - self._initial
        self._initial = size


class ReceiveWindows:
    """What a peer that counts waits for: a WINDOW_UPDATE when half of the window has been read.

    A peer that sends more than its window holds does not count, and is told no more.
    """

    def __init__(self) -> None:
        self.kept = True  # as far as we know
        self._left = {CONNECTION: INITIAL}
        self._read = {CONNECTION: 0}

    def open(self, stream_id: int) -> None:
        """Begin to count for a stream."""
        self._left[stream_id] = INITIAL
        self._read[stream_id] = 0

    def close(self, stream_id: int) -> None:
        """Forget a stream."""
        self._left.pop(stream_id, None)
        self._read.pop(stream_id, None)

    def arrived(self, stream_id: int, length: int) -> None:
        """Count what comes; for a stream that is not open, it counts for the connection."""
        for each in self._left.keys() & {stream_id, CONNECTION}:
            self._left[each] -= length
            if self._left[each] < 0:
                self.kept = False

    def read(self, stream_id: int, length: int) -> list[tuple[int, int]]:
        """Count what was read; the (stream, delta) to send for it."""
        if not self.kept:
            return []
        updates = []
        for each in self._read.keys() & {stream_id, CONNECTION}:
            self._read[each] += length
            if self._read[each] >= INITIAL // 2:
                updates.append((each, self._read[each]))
                self._left[each] += self._read[each]
                self._read[each] = 0
        return updates
