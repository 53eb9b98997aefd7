"""Volumes that an image declares: a directory of the container's own for each, with the image's content copied in.

Source: containerd `internal/cri/server/container_create.go` (`volumeMounts`), `internal/cri/opts/container.go`
(`WithVolumes`).
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.cri.container.accounts import linux_mounts
from cri_shim.linux.copy_tree import copy_tree
from cri_shim.linux.mounts import temporary
from cri_shim.linux.rootfs import resolve
from cri_shim.linux.shift_owners import shift
from cri_shim.state.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.api.runtime import v1 as cri
    from cri_shim.cri.parts import Parts
    from cri_shim.cri.snapshot import Snapshot
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


def populate(volumes: Sequence[ImageVolume], snapshot: Snapshot, paths: Paths) -> None:
    """Make the volumes' directories and copy in what the image has at their paths, as its own users'. Blocks."""
    if not volumes:
        return
    directory = os.path.join(paths.state, "mounts")
    os.makedirs(directory, 0o700, exist_ok=True)
    with temporary(linux_mounts(snapshot.mounts), readonly=True, directory=directory) as root:
        for volume in volumes:
            os.makedirs(volume.host_path, 0o755, exist_ok=True)
            source = resolve(root, posixpath.normpath(volume.container_path))
            if source is not None and os.path.isdir(source):
                copy_tree(source, volume.host_path)
                if snapshot.shifted is not None:  # the volume's mount maps its ids
                    shift(volume.host_path, snapshot.shifted.reversed())
