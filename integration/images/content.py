"""What an image is, before it is bytes: its names, files and configuration."""

from __future__ import annotations

import enum
import io
import platform
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

EPOCH: Final = 1704067200  # every timestamp: the same inputs give the same digests
ARCHITECTURE: Final = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class Form(enum.Enum):
    """How an image is written: which family of media types, alone or under an index."""

    OCI = "OCI manifest"
    OCI_INDEX = "OCI index"
    DOCKER = "Docker schema 2"
    DOCKER_LIST = "Docker manifest list"

    @property
    def docker(self) -> bool:
        return self in (Form.DOCKER, Form.DOCKER_LIST)

    @property
    def index(self) -> bool:
        return self in (Form.OCI_INDEX, Form.DOCKER_LIST)


@dataclass(frozen=True)
class File:
    """One entry of a layer.

    `link` makes it a hard link to that path in the layer, `symlink` a symbolic one; without content, it is a directory.
    """

    path: str
    content: bytes | None = None
    mode: int = 0o755
    link: str | None = None
    symlink: str | None = None
    owner: tuple[int, int] = (0, 0)


Layer = tuple[File, ...]


@dataclass(frozen=True)
class Image:
    """An image to build: its names, its layers from the lowest up, the `config` object of its image config.

    `note` is for the table: who asks for it, and what for.
    """

    names: tuple[str, ...]
    layers: tuple[Layer, ...]
    config: Mapping[str, object]
    note: str
    form: Form = Form.OCI_INDEX
    compressed: bool = True
    platform: tuple[str, str] = ("linux", ARCHITECTURE)


def text(path: str, content: str, mode: int = 0o644) -> File:
    """A file of text."""
    return File(path, content.encode(), mode)


def layer_tar(files: Layer) -> bytes:
    """The uncompressed tar of a layer."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in files:
            tar.addfile(_entry(file), io.BytesIO(file.content) if file.content is not None else None)
    return out.getvalue()


def _entry(file: File) -> tarfile.TarInfo:
    info = tarfile.TarInfo(file.path.lstrip("/"))
    info.mode, info.mtime = file.mode, EPOCH
    info.uid, info.gid = file.owner
    if file.link is not None:
        info.type, info.linkname = tarfile.LNKTYPE, file.link
    elif file.symlink is not None:
        info.type, info.linkname = tarfile.SYMTYPE, file.symlink
    elif file.content is None:
        info.type = tarfile.DIRTYPE
    else:
        info.size = len(file.content)
    return info
