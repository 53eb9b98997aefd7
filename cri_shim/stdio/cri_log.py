r"""The CRI log format, a buffer at a time: raw output in, whole records out. Pure; no clock, no file.

    <time> <stream> <P|F> <content>\n

`time` is RFC 3339 with up to nine digits of fraction; `F` is a complete line, `P` a part of one that goes on in the
next record, or that the stream ended in. A line longer than the limit is cut at exactly the limit; a `\r` right before
the newline belongs to it and is dropped.

What makes this fast is that nothing is done line by line: all complete lines of a buffer get their prefix by one
`replace`, and the buffer is cut up only around a line above the limit.

Sources: Kubernetes' kuberuntime logs reader (`staging/src/k8s.io/cri-client/pkg/logs`), containerd
`internal/cri/io/logger.go`. One time for each read, not for each line, is ours.
"""

from __future__ import annotations

import time
from functools import lru_cache

UNLIMITED = 0


def timestamp(nanoseconds: int) -> bytes:
    """A time since the epoch as RFC 3339 in the local zone, the fraction's trailing zeros dropped, as Go prints it."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    second, zone = _second(seconds)
    return second + (b".%09d" % fraction).rstrip(b"0").rstrip(b".") + zone


@lru_cache(maxsize=4)
def _second(seconds: int) -> tuple[bytes, bytes]:
    local = time.localtime(seconds)
    minutes = local.tm_gmtoff // 60
    hours, rest = divmod(abs(minutes), 60)
    zone = f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}" if minutes else "Z"
    return time.strftime("%Y-%m-%dT%H:%M:%S", local).encode(), zone.encode()


class LineFormatter:
    """One stream's output as CRI log records; keeps the unfinished line, at most the limit, between two buffers.

    `lines` and `splits` count what came, and the records beyond a line's first: by lengths, for to look for newlines
    again would take half as long as all the rest.
    """

    def __init__(self, stream: str, limit: int) -> None:
        """`stream` is "stdout" or "stderr"; `limit` is the most bytes of content a record has, 0 or less for any."""
        self._stream = stream.encode()
        self._limit = max(limit, UNLIMITED)
        self._rest = bytearray()
        self.lines = self.splits = 0

    def feed(self, data: bytes, now: bytes) -> bytes:
        """The records that `data` completes; `now` is the timestamp they get."""
        full, part = self._prefixes(now)
        end = data.rfind(b"\n")
        if end < 0:
            self._rest += data
            return self._cut_rest(part)
        lines = bytes(self._rest) + data[:end] if self._rest else data[:end]
        self._rest = bytearray(data[end + 1 :])
        return self._records(lines, full, part) + self._cut_rest(part)

    def finish(self, now: bytes) -> bytes:
        """The records for what is left when the stream has ended: a line without its newline is a part."""
        _, part = self._prefixes(now)
        rest, self._rest = bytes(self._rest), bytearray()
        if not rest:
            return b""
        pieces = [rest[at : at + self._limit] for at in range(0, len(rest), self._limit)] if self._limit else [rest]
        self.lines += 1
        self.splits += len(pieces) - 1
        return b"".join(part + piece + b"\n" for piece in pieces)

    def _prefixes(self, now: bytes) -> tuple[bytes, bytes]:
        head = b"%b %b " % (now, self._stream)
        return head + b"F ", head + b"P "

    def _records(self, lines: bytes, full: bytes, part: bytes) -> bytes:
        """The records for complete lines, the newline of the last one left out."""
        if lines.endswith(b"\r"):
            lines = lines[:-1]
        if b"\r\n" in lines:
            lines = lines.replace(b"\r\n", b"\n")
        separator = b"\n" + full
        if not self._limit or len(lines) <= self._limit:
            records = full + lines.replace(b"\n", separator) + b"\n"
            self.lines += (len(records) - len(lines) - 1) // len(full)
            return records
        done: list[bytes] = []
        start = splits = 0
        for long, end in _long_lines(lines, self._limit):
            if start < long:
                done += (full, lines[start : long - 1].replace(b"\n", separator), b"\n")
            last = end - ((end - long - 1) % self._limit + 1)
            for at in range(long, last, self._limit):
                done += (part, lines[at : at + self._limit], b"\n")
                splits += 1
            done += (full, lines[last:end], b"\n")
            start = end + 1
        if start <= len(lines):
            done += (full, lines[start:].replace(b"\n", separator), b"\n")
        records = b"".join(done)
        self.lines += (len(records) - len(lines) - 1 - splits * (len(part) + 1)) // len(full)
        self.splits += splits
        return records

    def _cut_rest(self, part: bytes) -> bytes:
        """Records of what the unfinished line has above the limit; a CR at its end may yet belong to a newline."""
        rest, limit = self._rest, self._limit
        excess = len(rest) - rest.endswith(b"\r")
        if not limit or excess <= limit:
            return b""
        cut = (excess - 1) // limit * limit
        records = b"".join(part + rest[at : at + limit] + b"\n" for at in range(0, cut, limit))
        del rest[:cut]
        self.splits += cut // limit
        return records


def _long_lines(lines: bytes, limit: int) -> list[tuple[int, int]]:
    """Start and end of each line longer than `limit`, found in strides of the limit."""
    found: list[tuple[int, int]] = []
    start = 0
    while start + limit < len(lines):
        newline = lines.rfind(b"\n", start, start + limit + 1)
        if newline < 0:
            end = lines.find(b"\n", start + limit)
            found.append((start, len(lines) if end < 0 else end))
            start = found[-1][1] + 1
        else:
            start = newline + 1
    return found
