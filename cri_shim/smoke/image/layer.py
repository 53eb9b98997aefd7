"""A root file system with the programs in it, as a layer; uncompressed, since packing takes longer than sending."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import dataclass
from typing import Final

from cri_shim.smoke.image import programs

USER, UID, EXTRA_GROUP = "smoke", 1234, 50000
_PASSWD: Final = f"root:x:0:0:root:/:/bin/sh\n{USER}:x:{UID}:{UID}:smoke:/:/bin/sh\n"
_GROUP: Final = f"root:x:0:\n{USER}:x:{UID}:\nextra:x:{EXTRA_GROUP}:{USER}\n"
_DIRECTORIES: Final = {"bin": 0o755, "dev": 0o755, "etc": 0o755, "proc": 0o755, "sys": 0o755, "run": 0o755,
                       "tmp": 0o1777, "work": 0o777}  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """The layer's bytes, and the directories in which its libraries are."""

    data: bytes
    libraries: tuple[str, ...]


def build() -> Layer:
    """The layer of this machine's programs. Raises FailedPrecondition when they are not there, or not to be copied."""
    tar = _Tar()
    for name, mode in _DIRECTORIES.items():
        tar.directory(name, mode)
    files: set[str] = set()
    for name, path in programs.found().items():
        real = os.path.realpath(path)
        tar.copy(real, f"bin/{name}")
        files |= programs.needed(real)
    if python := programs.interpreter():
        tar.text("bin/nc", f"#!{python[0]} -IS\n{programs.NC}", 0o755)
        files |= python[1]
    for path in sorted(files):
        tar.copy(path, path.lstrip("/"))
    tar.text("etc/passwd", _PASSWD)
    tar.text("etc/group", _GROUP)
    return Layer(tar.close(), tuple(sorted({os.path.dirname(path) for path in files if ".so" in path})))


class _Tar:
    """A tar that is being written: directories before what is in them, a file that is there again as a link."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._bytes, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115  (`close`)
        self._directories: set[str] = set()
        self._copied: dict[str, str] = {}

    def directory(self, name: str, mode: int = 0o755) -> None:
        """A directory, and those above it."""
        if not name or name in self._directories:
            return
        self.directory(os.path.dirname(name))
        self._directories.add(name)
        self._add(name, tarfile.DIRTYPE, mode)

    def copy(self, path: str, name: str) -> None:
        """The file at `path`, which keeps its time: compiled Python code is valid for its source's only."""
        self.directory(os.path.dirname(name))
        real = os.path.realpath(path)
        if real in self._copied:
            if self._copied[real] != name:
                self._add(name, tarfile.LNKTYPE, 0o755, link=self._copied[real])
            return
        self._copied[real] = name
        with open(real, "rb") as file:
            self._add(name, tarfile.REGTYPE, 0o755, file.read(), time=int(os.fstat(file.fileno()).st_mtime))

    def text(self, name: str, text: str, mode: int = 0o644) -> None:
        """A file of our own."""
        self._add(name, tarfile.REGTYPE, mode, text.encode())

    def close(self) -> bytes:
        """The whole."""
        self._tar.close()
        return self._bytes.getvalue()

    def _add(self, name: str, kind: bytes, mode: int, data: bytes = b"", link: str = "", time: int = 0) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.size, entry.linkname, entry.mtime = kind, mode, len(data), link, time
        self._tar.addfile(entry, io.BytesIO(data))
