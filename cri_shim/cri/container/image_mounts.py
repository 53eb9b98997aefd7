"""Images as mounts: each is mounted once for a pod, and lives until the pod stops.

Where it is on the node, `image-volumes/<sandbox>/<digest>`, is also the key of its snapshot, which the pod's lease
holds: what a `kill -9` leaves is found by the directory, and freed with the lease at the latest. The layers stay as
long as the snapshot does, whether or not somebody removes the image.

Source: containerd `internal/cri/server/container_image_mount.go`.
"""

from __future__ import annotations

import copy
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri import remains
from cri_shim.cri.container.accounts import linux_mounts
from cri_shim.cri.snapshot import prepare_snapshot
from cri_shim.errors import AlreadyExists, CriError, InvalidArgument
from cri_shim.linux.files import remove_tree, unmount_below
from cri_shim.linux.mounts import is_mountpoint, mount_all
from cri_shim.linux.rootfs import resolve_beneath
from cri_shim.observe.timeline import step
from cri_shim.state.undo import CLEANUP_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.api.containerd.types import mount_pb2
    from cri_shim.cri.parts import Parts
    from cri_shim.state.images import ImageRecord
    from cri_shim.state.sandbox import Sandbox

FAILED = "ImageVolumeMountFailed"  # the kubelet looks for this prefix
_VOLATILE_KERNEL = (5, 10)  # overlay's `volatile`: nobody writes there, so that nothing has to be synced


def check_image_mounts(mounts: Sequence[cri.Mount]) -> None:
    """Raise InvalidArgument for an image that couldn't be mounted as asked, whatever the node has."""
    for index, mount in enumerate(mounts):
        field = f"{FAILED}: config.mounts[{index}]"
        if mount.image is None:
            if mount.image_sub_path:
                raise InvalidArgument(f"{field}.image_sub_path is {mount.image_sub_path!r}, but there is no image")
            continue
        if not mount.image.image:
            raise InvalidArgument(f"{field}.image.image is missing: name the image by tag, digest or id")
        if mount.host_path:
            raise InvalidArgument(f"{field}.host_path is {mount.host_path!r}: with an image it must be empty")
        if not mount.readonly:
            raise InvalidArgument(f"{field}.readonly is false: an image can only be mounted read-only")
        if os.path.isabs(mount.image_sub_path):
            raise InvalidArgument(
                f"{field}.image_sub_path is {mount.image_sub_path!r}: it must be a relative path inside the image"
            )


def as_asked(config: cri.ContainerConfig) -> cri.ContainerConfig:
    """The config of a container as it was asked for: without what `mount_images` put into it."""
    return _with_mounts(config, [_completed(mount, mount.image) for mount in config.mounts])


async def mount_images(parts: Parts, sandbox: Sandbox, config: cri.ContainerConfig) -> cri.ContainerConfig:
    """The config with the source of every image's mount in its host_path, where the image is now mounted, and its id.

    Raises NotFound for an image that isn't there, InvalidArgument for a part of it that is no directory in it, and what
    containerd and the kernel report.
    """
    if not any(mount.image for mount in config.mounts):
        return config
    with step("image mounts"):
        with suppress(AlreadyExists):  # a pod of an older runtime may have none
            await parts.containerd.leases.create(sandbox.id)
        return _with_mounts(config, [await _from_image(parts, sandbox, mount) for mount in config.mounts])


async def unmount_images(parts: Parts, sandbox: Sandbox) -> None:
    """Unmount a pod's images and remove their snapshots; what is gone already is gone."""
    directory = parts.paths.image_volumes(sandbox.id)
    for name in await to_thread.run_sync(_names, directory):
        await _remove(parts, sandbox, os.path.join(directory, name))
    await remains.remove_image_volumes(parts, sandbox.id)


def _with_mounts(config: cri.ContainerConfig, mounts: list[cri.Mount]) -> cri.ContainerConfig:
    changed = copy.copy(config)
    changed.mounts = mounts
    return changed


def _completed(mount: cri.Mount, image: cri.ImageSpec | None, host_path: str = "", image_id: str = "") -> cri.Mount:
    """A mount of an image with what is found out of it, which its status tells; any other mount as it is.

    The ids of a user namespace are the snapshot's, and no more the mount's, affair.
    """
    if image is None:
        return mount
    changed, changed_image = copy.copy(mount), copy.copy(image)
    changed_image.image_ref = image_id
    changed.host_path, changed.image, changed.uid_mappings, changed.gid_mappings = host_path, changed_image, [], []
    return changed


async def _from_image(parts: Parts, sandbox: Sandbox, mount: cri.Mount) -> cri.Mount:
    if mount.image is None:
        return mount
    try:
        image = parts.images.resolve(mount.image.image)
        target = os.path.join(parts.paths.image_volumes(sandbox.id), image.target.partition(":")[2])
        users = _users(mount)
        await parts.flights.join(f"image mount {target}", users, lambda: _mount(parts, sandbox, image, target, users))
        source = await to_thread.run_sync(_part, target, mount.image_sub_path) if mount.image_sub_path else target
    except CriError as error:
        raise error.because(f"{FAILED}: config.mounts: the image mount at {mount.container_path!r}") from error
    return _completed(mount, mount.image, source, image.id)


def _users(mount: cri.Mount) -> cri.UserNamespace | None:
    """Whose the files are to be, by the mappings of the mount; None for the node's users."""
    if not mount.uid_mappings or not mount.gid_mappings:
        return None
    return cri.UserNamespace(mode=cri.NamespaceMode.POD, uids=mount.uid_mappings, gids=mount.gid_mappings)


async def _mount(
    parts: Parts, sandbox: Sandbox, image: ImageRecord, target: str, users: cri.UserNamespace | None
) -> None:
    """Mount the image at `target`, unless another container of the pod has it there."""
    if await to_thread.run_sync(is_mountpoint, target):
        return
    snapshotter = sandbox.runtime.snapshotter
    try:
        await to_thread.run_sync(lambda: os.makedirs(target, 0o755, exist_ok=True))
        snapshot = await prepare_snapshot(parts, image, snapshotter, target, users, lease=sandbox.id)
        volatile, scratch = parts.facts.kernel >= _VOLATILE_KERNEL, os.path.join(parts.paths.state, "mounts")
        await to_thread.run_sync(lambda: _mount_all(snapshot.mounts, target, scratch, volatile=volatile))
        sandbox.require_ready()  # what is mounted after a stop has looked would stay
    except BaseException:
        with anyio.move_on_after(CLEANUP_SECONDS, shield=True):
            await _remove(parts, sandbox, target)
        raise


def _mount_all(mounts: Sequence[mount_pb2.Mount], target: str, scratch: str, *, volatile: bool) -> None:
    if volatile:
        for mount in mounts:
            if mount.type == "overlay" and not {"volatile", "fsync=volatile"} & set(mount.options):
                mount.options.append("volatile")
    try:
        mount_all(linux_mounts(mounts), target, scratch=scratch)
    except OSError as error:
        raise CriError(f"it can't be mounted at {target}: {error.strerror or error}") from error


def _part(target: str, sub_path: str) -> str:
    """The directory `sub_path` of what is mounted at `target`."""
    try:
        found = resolve_beneath(target, sub_path)
    except OSError as error:
        raise InvalidArgument(
            f"image_sub_path {sub_path!r} is no path inside the image: {error.strerror or error}"
        ) from error
    if not os.path.isdir(found):
        raise InvalidArgument(f"image_sub_path {sub_path!r} is no directory: only directories of an image are mounted")
    return os.path.join(target, os.path.normpath(sub_path))


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


async def _remove(parts: Parts, sandbox: Sandbox, target: str) -> None:
    """Unmount first, for a snapshot's files go with it; its directory last, for it names the snapshot."""
    await to_thread.run_sync(unmount_below, target)
    await remains.remove_snapshot(parts, sandbox.runtime.snapshotter, target)
    await to_thread.run_sync(remove_tree, target)
