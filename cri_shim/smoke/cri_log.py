"""A container's log file: a line is `<RFC 3339 time> <stream> <tag> <content>` (the kubelet's CRI log format)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cri_shim.smoke.check import Failed

FULL, PARTIAL = "F", "P"


@dataclass(frozen=True)
class Entry:
    """One line of the file."""

    time: str
    stream: str
    tag: str
    content: bytes


def parse(data: bytes) -> list[Entry]:
    """The entries of a whole file. Raises Failed for a line that is none."""
    lines = data.split(b"\n")
    if lines.pop():
        raise Failed("a log file whose last line is complete", repr(data[-80:]))
    return [_entry(line) for line in lines]


def text(entries: list[Entry]) -> list[str]:
    """The lines that were written, whole, whatever their stream."""
    found: list[str] = []
    whole: dict[str, bytes] = {}
    for entry in entries:
        whole[entry.stream] = whole.get(entry.stream, b"") + entry.content
        if entry.tag == FULL:
            found.append(whole.pop(entry.stream).decode(errors="replace"))
    return found + [rest.decode(errors="replace") for rest in whole.values()]


def _entry(line: bytes) -> Entry:
    parts = line.split(b" ", 3)
    try:
        time, stream, tags = (part.decode("ascii") for part in parts[:3])
        datetime.fromisoformat(time)
    except ValueError as error:
        raise Failed("log lines of `TIME STREAM TAG CONTENT`", repr(line[:120])) from error
    if stream not in ("stdout", "stderr") or tags.split(":")[0] not in (FULL, PARTIAL):
        raise Failed("stdout or stderr, and F or P, in each line of the log", repr(line[:120]))
    return Entry(time, stream, tags.split(":")[0], parts[3] if parts[3:] else b"")
