"""/proc/<pid>/mountinfo, read and parsed (proc_pid_mountinfo(5))."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from cri_shim import errors

_FIELDS_BEFORE_TAGS = 6
_FIELDS_AFTER_TAGS = 3
_ESCAPE = re.compile(rb"\\([0-3][0-7][0-7])")  # space, tab, newline, backslash and '#'


@dataclass(frozen=True, slots=True)
class Propagation:
    """How mount events travel: `shared` to peers, `slave` from a master; neither is private."""

    shared: bool = False
    slave: bool = False
    unbindable: bool = False


@dataclass(frozen=True, slots=True)
class MountPoint:
    """One line: what is mounted where, the bytes of paths decoded as Python decodes file names."""

    mount_id: int
    parent_id: int
    device: str
    root: str
    target: str
    options: tuple[str, ...]
    propagation: Propagation
    fstype: str
    source: str
    super_options: tuple[str, ...]


def read(pid: int | str = "self") -> tuple[MountPoint, ...]:
    """All mounts that process `pid` sees, in the kernel's order: a later one at the same target covers the earlier."""
    with open(f"/proc/{pid}/mountinfo", "rb") as table:
        return parse(table.read())


def parse(table: bytes) -> tuple[MountPoint, ...]:
    """The lines of a mountinfo file; raises `errors.Internal` with the line that isn't one."""
    return tuple(_parse_line(line) for line in table.split(b"\n") if line)


def _parse_line(line: bytes) -> MountPoint:
    try:
        head, tail = line.split(b" - ", 1)
        before, after = head.split(b" "), tail.split(b" ")
        mount_id, parent_id, device, root, target, options = before[:_FIELDS_BEFORE_TAGS]
        fstype, source, super_options = [*after, b"", b""][:_FIELDS_AFTER_TAGS]
        return MountPoint(
            mount_id=int(mount_id),
            parent_id=int(parent_id),
            device=device.decode("ascii"),
            root=_unescape(root),
            target=_unescape(target),
            options=_options(options),
            propagation=_propagation(before[_FIELDS_BEFORE_TAGS:]),
            fstype=_unescape(fstype),
            source=_unescape(source),
            super_options=_options(super_options),
        )
    except ValueError as error:
        raise errors.Internal(f"not a line of mountinfo: {line!r}") from error


def _unescape(field: bytes) -> str:
    return os.fsdecode(_ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field))


def _options(field: bytes) -> tuple[str, ...]:
    return tuple(_unescape(option) for option in field.split(b",") if option)


def _propagation(tags: list[bytes]) -> Propagation:
    kinds = {tag.split(b":", 1)[0] for tag in tags}
    return Propagation(shared=b"shared" in kinds, slave=b"master" in kinds, unbindable=b"unbindable" in kinds)
