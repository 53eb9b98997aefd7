"""The formats of cgroup files, and how they are read (Documentation/admin-guide/cgroup-v1, cgroup-v2.rst, psi.rst).

A file that isn't there is None: the controller is off, the kernel is too old, or the group has just been removed. The
parsers take what the kernel writes, and leave out a line that they don't know.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass

from cri_shim.stats.sample import Pressure, Stall

NO_LIMIT = 1 << 62
"""A v1 limit above this is none: the kernel writes the largest multiple of a page that a signed 64-bit number takes."""

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.EOPNOTSUPP})
_CHUNK = 4096
_WHOLE = 3072  # what is shorter than this ends there: the kernel fills a buffer but for what a last line did not fit
_STALL = re.compile(r"^(some|full) avg10=([\d.]+) avg60=([\d.]+) avg300=([\d.]+) total=(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class DeviceIo:
    """What a group moved to and from a block device: bytes, or requests, by operation (`Read`, `Write`)."""

    major: int
    minor: int
    bytes: dict[str, int]
    requests: dict[str, int]


def read(directory: str, name: str) -> str | None:
    """The content of a group's file; None when there is no such file (any more). Raises OSError for anything else."""
    try:
        fd = os.open(f"{directory}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise
    try:
        content = os.read(fd, _CHUNK)
        if len(content) >= _WHOLE:
            while chunk := os.read(fd, _CHUNK):
                content += chunk
    except OSError as error:
        if error.errno in _ABSENT:  # removed while it was open, or pressure that isn't accounted for
            return None
        raise
    finally:
        os.close(fd)
    return content.decode("ascii", "replace")


def number(text: str | None) -> int | None:
    """A file of one number; None for `max`, for an unlimited v1 limit, and for no file."""
    if text is None or not (digits := text.strip()).isdecimal():
        return None
    value = int(digits)
    return None if value > NO_LIMIT else value


def keyed(text: str | None) -> dict[str, int]:
    """A flat keyed file, `name number` a line; empty for no file."""
    if text is None:
        return {}
    words = text.split()
    try:
        return dict(zip(words[::2], map(int, words[1::2]), strict=True))
    except ValueError:  # a line of another form in between
        pairs = [line.split() for line in text.splitlines()]
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}  # noqa: PLR2004


def pressure(text: str | None) -> Pressure | None:
    """A pressure file; None for no file."""
    if text is None:
        return None
    stalls = {
        kind: Stall(int(total) * 1000, *map(_percent, averages)) for kind, *averages, total in _STALL.findall(text)
    }
    return Pressure(some=stalls.get("some"), full=stalls.get("full")) if stalls else None


def _percent(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # not the kernel's: two points
        return 0.0


def io_stat(text: str | None) -> list[DeviceIo]:
    """v2's io.stat, `MAJ:MIN rbytes=… wbytes=… rios=… wios=…` a line; empty for no file."""
    found = []
    for line in (text or "").splitlines():
        device, _, rest = line.partition(" ")
        fields = dict(word.partition("=")[::2] for word in rest.split())
        numbers = {name: int(value) for name, value in fields.items() if value.isdecimal()}
        if (numbered := _device(device)) is None or "rbytes" not in numbers:
            continue
        found.append(
            DeviceIo(
                *numbered,
                bytes={"Read": numbers["rbytes"], "Write": numbers.get("wbytes", 0)},
                requests={"Read": numbers.get("rios", 0), "Write": numbers.get("wios", 0)},
            )
        )
    return found


def blkio(service_bytes: str | None, serviced: str | None) -> list[DeviceIo]:
    """v1's blkio files, `MAJ:MIN OPERATION number` a line, bytes and requests together; empty for no files."""
    sizes, counts = _operations(service_bytes), _operations(serviced)
    return [
        DeviceIo(*device, bytes=sizes.get(device, {}), requests=counts.get(device, {}))
        for device in dict.fromkeys([*sizes, *counts])
    ]


def _operations(text: str | None) -> dict[tuple[int, int], dict[str, int]]:
    found: dict[tuple[int, int], dict[str, int]] = {}
    for line in (text or "").splitlines():
        match line.split():
            case [device, operation, value] if value.isdecimal() and (numbered := _device(device)) is not None:
                found.setdefault(numbered, {})[operation] = int(value)
    return found


def _device(text: str) -> tuple[int, int] | None:
    major, _, minor = text.partition(":")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None
