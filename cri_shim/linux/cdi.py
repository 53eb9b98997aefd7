"""The node's CDI specifications: files of the directories given, read again when they have changed.

Each question lists the directories, which costs some stat(2): a file that was there before the question counts,
however it came there, and only a changed one is read. Directories may come and go.

Source: CDI's `pkg/cdi/cache.go` (priorities and conflicts), `pkg/cdi/spec-dirs.go`.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from cri_shim.errors import InvalidArgument
from cri_shim.linux import documents
from cri_shim.oci.cdi_spec import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cri_shim.oci.cdi_spec import CdiDevice, CdiSpec, ContainerEdits

log = structlog.get_logger(__name__)

_SUFFIXES: Final = (".json", ".yaml")
_Stamp = tuple[int, ...]


@dataclass(frozen=True)
class _File:
    """A specification as it was read; without one, `problem` says why."""

    path: str
    priority: int
    stamp: _Stamp
    spec: CdiSpec | None = None
    problem: str = ""


@dataclass
class _Devices:
    """What the files come to: devices by qualified name, and the names that two files of one directory have."""

    found: dict[str, tuple[_File, CdiDevice]] = field(default_factory=dict)
    conflicts: dict[str, str] = field(default_factory=dict)


class CdiSpecs:
    """The specifications in `directories`; a device of a later directory takes the place of an earlier one's."""

    def __init__(self, directories: Sequence[str]) -> None:
        self._directories = directories
        self._files: list[_File] = []
        self._devices = _Devices()
        self._lock = threading.Lock()

    def edits(self, names: Iterable[str]) -> list[ContainerEdits]:
        """What devices change, in their order; what a specification changes for all its devices precedes the first.

        Blocks. Raises InvalidArgument that names each device that there isn't, and says why.
        """
        with self._lock:
            self._refresh()
            devices, files = self._devices, self._files
        names = list(names)
        missing = [name for name in names if name not in devices.found]
        if missing:
            raise InvalidArgument(self._unresolvable(missing, devices, files))
        edits: list[ContainerEdits] = []
        seen: set[str] = set()
        for file, device in (devices.found[name] for name in names):
            if file.path not in seen and file.spec is not None:
                seen.add(file.path)
                edits.append(file.spec.container_edits)
            edits.append(device.container_edits)
        return edits

    def _unresolvable(self, missing: Sequence[str], devices: _Devices, files: Sequence[_File]) -> str:
        reasons = [devices.conflicts[name] for name in missing if name in devices.conflicts]
        reasons += [f"{file.path}: {file.problem}" for file in files if file.problem]
        why = "; ".join(reasons) or f"no specification in {', '.join(self._directories)} has them"
        return f"unresolvable CDI devices {', '.join(missing)}: {why}"

    def _refresh(self) -> None:
        known = {(file.path, file.priority): file for file in self._files}
        files = []
        for path, priority, stamp in self._listed():
            there = known.get((path, priority))
            files.append(there if there is not None and there.stamp == stamp else _read(path, priority, stamp))
        if files != self._files:
            self._files, self._devices = files, _resolved(files)

    def _listed(self) -> Iterator[tuple[str, int, _Stamp]]:
        """The files, by directory and then by name."""
        for priority, directory in enumerate(self._directories):
            try:
                names = sorted(name for name in os.listdir(directory) if name.endswith(_SUFFIXES))
            except (FileNotFoundError, NotADirectoryError):
                continue
            for name in names:
                path = os.path.join(directory, name)
                if not os.path.isdir(path):
                    yield path, priority, _stamp(path)


def _stamp(path: str) -> _Stamp:
    try:
        status = os.stat(path)
    except OSError as error:  # reading it says the same again
        return (error.errno or 0,)
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _read(path: str, priority: int, stamp: _Stamp) -> _File:
    try:
        return _File(path, priority, stamp, parse(documents.read(path)))
    except (OSError, InvalidArgument) as error:
        problem = (error.strerror if isinstance(error, OSError) else "") or str(error)
        log.warning("CDI specification left out", path=path, error=problem)
        return _File(path, priority, stamp, problem=problem)


def _resolved(files: Iterable[_File]) -> _Devices:
    devices = _Devices()
    for file in files:
        if file.spec is None:
            continue
        for device in file.spec.devices:
            name = f"{file.spec.kind}={device.name}"
            before = devices.found.get(name)
            if before is not None and before[0].priority == file.priority:
                devices.conflicts[name] = f"both {before[0].path} and {file.path} have {name}"
                log.warning("CDI device left out", device=name, reason=devices.conflicts[name])
            else:
                devices.found[name] = (file, device)
    for name in devices.conflicts:
        devices.found.pop(name, None)
    return devices
