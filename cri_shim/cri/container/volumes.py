"""Volumes that an image declares: a directory of the container's own for each, with the image's content copied in.

Source: containerd `internal/cri/server/container_create.go` (`volumeMounts`), `internal/cri/opts/container.go`
(`WithVolumes`).
"""

from __future__ import annotations

import os
import posixpath
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.cri.container.accounts import linux_mounts
from cri_shim.linux.mounts import temporary
from cri_shim.linux.rootfs import resolve
from cri_shim.state.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.api.containerd.types import mount_pb2
    from cri_shim.api.runtime import v1 as cri
    from cri_shim.cri.parts import Parts
    from cri_shim.oci.image import ImageConfig
    from cri_shim.state.paths import Paths


@dataclass(frozen=True)
class ImageVolume:
    """One volume: where it is on the node and where the container sees it."""

    host_path: str
    container_path: str


def image_volumes(
    parts: Parts, container_id: str, config: cri.ContainerConfig, image: ImageConfig
) -> list[ImageVolume]:
    """The image's volumes that no mount of the request takes the place of, at the places as the image spells them."""
    if parts.settings.runtime.ignore_image_defined_volumes:
        return []
    taken = {posixpath.normpath(mount.container_path) for mount in config.mounts}
    root = os.path.join(parts.paths.container_root(container_id), "volumes")
    wanted = sorted(posixpath.join("/", path) for path in image.process.volumes or {})
    return [ImageVolume(os.path.join(root, new_id()), path) for path in wanted if posixpath.normpath(path) not in taken]


def populate(volumes: Sequence[ImageVolume], mounts: Sequence[mount_pb2.Mount], paths: Paths) -> None:
    """Make the volumes' directories and copy in what the image has at their paths. Blocks."""
    if not volumes:
        return
    directory = os.path.join(paths.state, "mounts")
    os.makedirs(directory, 0o700, exist_ok=True)
    with temporary(linux_mounts(mounts), readonly=True, directory=directory) as root:
        for volume in volumes:
            os.makedirs(volume.host_path, 0o755, exist_ok=True)
            source = resolve(root, posixpath.normpath(volume.container_path))
            if source is not None and os.path.isdir(source):
                _copy_directory(source, volume.host_path)


def _copy_directory(source: str, target: str) -> None:
    """Copy content, modes, owners, times and extended attributes; symbolic links stay links."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, copy_function=_copy_file)
    for base, directories, _ in os.walk(source):
        for path in (base, *(os.path.join(base, name) for name in directories)):
            _copy_owner(path, os.path.join(target, os.path.relpath(path, source)))


def _copy_file(source: str, target: str, *, follow_symlinks: bool = True) -> str:
    shutil.copy2(source, target, follow_symlinks=False)
    _copy_owner(source, target)
    return target if follow_symlinks else source


def _copy_owner(source: str, target: str) -> None:
    status = os.lstat(source)
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    if not os.path.islink(source):
        os.chmod(target, status.st_mode & 0o7777)  # chown takes the set-id bits off
