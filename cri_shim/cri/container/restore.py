"""A container restored from a checkpoint: what its processes had in memory, and what it had written.

From the checkpoint come CRIU's images, the changed files and the log, and nothing else: what the container is and may
do is what CreateContainer asks for. CreateContainer unpacks the checkpoint below the container's directory, and puts
the changed files into its snapshot; StartContainer has the runtime restore the processes instead of starting one.

    image names an archive's path    one of `checkpoint_dirs`, with `enable_experimental_restore_via_create`
    image is a checkpoint's image    one whose manifest is annotated with the container's name, with the same key
    RestorePod                       the archives of its pod

Source: containerd 2.1 `internal/cri/server/container_checkpoint_linux.go` (`CRImportCheckpoint`), CRI-O
`internal/lib/restore.go`, `plugins/services/tasks/local.go` (`criu_image_path`).
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
import structlog
from anyio import to_thread

from cri_shim.api.containerd.types import descriptor_pb2
from cri_shim.api.containerd.types.runc.options import oci_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.containerd import typeurl
from cri_shim.cri import remains
from cri_shim.cri.container import checkpoint_archive as archive
from cri_shim.cri.container.checkpoint import require_criu
from cri_shim.cri.image.pull import pull_image
from cri_shim.cri.user_namespace import own_users
from cri_shim.errors import CriError, FailedPrecondition, InvalidArgument, NotFound
from cri_shim.linux.files import remove_tree
from cri_shim.observe.timeline import step
from cri_shim.state.image_content import read_image
from cri_shim.state.undo import CLEANUP_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from google.protobuf import any_pb2

    from cri_shim.api.containerd.types import mount_pb2
    from cri_shim.cri.parts import Parts
    from cri_shim.state.images import ImageRecord
    from cri_shim.state.sandbox import RuntimeChoice

log = structlog.get_logger(__name__)

DIRECTORY: Final = "restore"  # below the container's own, until it has been started
_PLAIN_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_ANNOTATIONS: Final = frozenset({
    "org.criu.checkpoint.container.name", "io.kubernetes.cri-o.annotations.checkpoint.name",
})  # fmt: skip
_LOG: Final = "restore.log"
_LOG_LINES: Final = 5


@dataclass(frozen=True)
class Checkpoint:
    """Where a container's checkpoint is: an archive, or an image; `subject` names it in errors."""

    subject: str
    path: str = ""
    image: ImageRecord | None = None
    of_pod: bool = False  # its container's config names an image, and not the checkpoint


@dataclass(frozen=True)
class Ground:
    """What a container is made on: an image and, of one to be restored, where its checkpoint is unpacked."""

    image: ImageRecord
    checkpoint: str = ""


def named(parts: Parts, image: str) -> Checkpoint | ImageRecord:
    """What the image of a container means, an image or a checkpoint.

    Raises NotFound when there is no such image, FailedPrecondition for a checkpoint that this node is configured not
    to restore, InvalidArgument for a path that leads elsewhere.
    """
    allowed = parts.settings.runtime.enable_experimental_restore_via_create
    if not image.startswith("/"):
        record = parts.images.resolve(image)
        is_checkpoint = allowed and _ANNOTATIONS & record.annotations.keys()
        return Checkpoint(f"checkpoint {image}", image=record) if is_checkpoint else record
    if not allowed:
        raise FailedPrecondition(
            f"image {image!r} is the path of an archive, and containers are not restored from checkpoints here: set "
            "enable_experimental_restore_via_create if whoever may create pods may do that, too"
        )
    directories = [os.path.realpath(each) for each in parts.settings.shim.checkpoint_dirs]
    real = os.path.realpath(image)
    if not any(real.startswith(f"{directory}/") for directory in directories):
        raise InvalidArgument(f"image {image!r} is not below any of checkpoint_dirs {directories}")
    return Checkpoint(f"checkpoint {image}", path=real)


@asynccontextmanager
async def ground(
    parts: Parts, found: Checkpoint | ImageRecord, container_id: str, config: cri.ContainerConfig
) -> AsyncIterator[Ground]:
    """Unpack a checkpoint for the container to be, whose directories go when the block fails; an image is there.

    Raises FailedPrecondition where it can't be restored or its image isn't to be had, InvalidArgument for an archive
    that is no checkpoint's, ResourceExhausted for one beyond `checkpoint_limit`.
    """
    if not isinstance(found, Checkpoint):
        yield Ground(found)
        return
    require_criu(parts, found.subject, "restored")
    if own_users(config.linux) is not None:
        raise FailedPrecondition(f"{found.subject} can't be restored into a pod with a user namespace")
    try:
        directory = await _unpack(parts, found, container_id)
        described = await to_thread.run_sync(archive.describe, directory, found.subject)
        if found.of_pod and config.image is not None:
            image = _same_image(parts, found, described, config.image.image)
        else:
            image = await _base_image(parts, found, described)
        yield Ground(image, directory)
    except BaseException:
        with anyio.move_on_after(CLEANUP_SECONDS, shield=True):
            await remains.remove_container_files(parts, container_id)
        raise


async def _unpack(parts: Parts, checkpoint: Checkpoint, container_id: str) -> str:
    directory = os.path.join(parts.paths.container_root(container_id), DIRECTORY)
    budget = archive.Budget(checkpoint.subject, parts.settings.shim.checkpoint_limit)
    try:
        await to_thread.run_sync(_make_directories, directory)
        if checkpoint.image is not None:
            await _unpack_image(parts, checkpoint.image, directory, budget)
        else:
            await to_thread.run_sync(_unpack_file, checkpoint.path, directory, budget)
        await to_thread.run_sync(_make_plain, os.path.join(directory, archive.LAYER), budget)
    except OSError as error:
        raise FailedPrecondition(f"{checkpoint.subject} can't be unpacked: {error}") from error
    return directory


def _make_directories(directory: str) -> None:
    remove_tree(directory)
    os.makedirs(os.path.join(directory, archive.IMAGES), 0o700)


def _unpack_file(path: str, directory: str, budget: archive.Budget) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        archive.unpack(file, directory, budget)


async def _unpack_image(parts: Parts, image: ImageRecord, directory: str, budget: archive.Budget) -> None:
    """Unpack the layers of a checkpoint's image, of which each is an archive."""
    content = await read_image(parts.containerd.content, image.target, parts.architecture)
    for number, layer in enumerate(content.layers):
        budget.take(layer.size)
        packed, plain = (os.path.join(directory, f".layer-{number}{end}") for end in ("", ".tar"))
        await parts.containerd.content.save(layer.digest, packed)
        await to_thread.run_sync(_unpack_layer, packed, plain, directory, budget)


def _unpack_layer(packed: str, plain: str, directory: str, budget: archive.Budget) -> None:
    archive.decompressed(packed, plain, budget)
    os.unlink(packed)
    _unpack_file(plain, directory, budget)
    os.unlink(plain)


def _make_plain(layer: str, budget: archive.Budget) -> None:
    """Have the layer, if there is one, decompressed and checked: its compressed size says nothing. Blocks."""
    if not os.path.exists(layer):
        return
    packed = f"{layer}.packed"
    os.rename(layer, packed)
    archive.decompressed(packed, layer, budget)
    os.unlink(packed)
    archive.check_layer(layer, budget)


def _same_image(parts: Parts, checkpoint: Checkpoint, described: archive.Description, name: str) -> ImageRecord:
    """The image that is asked for, which must be the checkpoint's: its processes have files of it open."""
    image = parts.images.resolve(name)
    if described.rootfs_image_ref not in (image.id, *image.references):
        raise FailedPrecondition(
            f"{checkpoint.subject} is of a container of {described.rootfs_image_ref!r}, and image {name!r} is another"
        )
    return image


async def _base_image(parts: Parts, checkpoint: Checkpoint, described: archive.Description) -> ImageRecord:
    """The image below the checkpoint, pulled (without an account) where it is not there."""
    wanted = described.rootfs_image_ref or described.rootfs_image_name
    if not wanted:
        raise InvalidArgument(f"{checkpoint.subject} doesn't say from which image its container was made")
    try:
        return parts.images.resolve(wanted)
    except NotFound:
        log.info("the image of a checkpoint is pulled", checkpoint=checkpoint.subject, image=wanted)
    try:
        await pull_image(parts, cri.PullImageRequest(image=cri.ImageSpec(image=wanted)))
    except CriError as error:
        raise error.because(f"{checkpoint.subject}: the image of its container, {wanted}") from error
    return parts.images.resolve(wanted)


async def apply_layer(
    parts: Parts, directory: str, container_id: str, mounts: Sequence[mount_pb2.Mount], lease: str
) -> None:
    """Put the changed files into the container's fresh snapshot, as containerd does with an image's layer."""
    path = os.path.join(directory, archive.LAYER)
    if not await to_thread.run_sync(os.path.exists, path):
        return
    containerd = parts.containerd
    with step("changed files", lane="snapshot"):
        ref = f"restore-{container_id}-{secrets.token_hex(4)}"
        async with containerd.leases.temporary(hours=1) as held:
            digest, size = await containerd.content.write(path, ref=ref, lease=held)
            layer = descriptor_pb2.Descriptor(media_type=_PLAIN_LAYER, digest=digest, size=size)
            await containerd.diff.apply(layer, mounts, lease=lease)
    await to_thread.run_sync(os.unlink, path)


def restore_log(directory: str, path: str) -> bool:
    """Have the container's log begin with the checkpoint's, unless it is there; whether it was made. Blocks."""
    source = os.path.join(directory, archive.LOG)
    if not path or not os.path.exists(source):
        return False
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    except FileExistsError:
        return False
    with open(fd, "wb") as file, open(source, "rb") as written:
        shutil.copyfileobj(written, file)
    return True


def directory_of(parts: Parts, container_id: str) -> str:
    """Where the checkpoint is that a created container is to be restored from; "" for one that is started anew."""
    directory = os.path.join(parts.paths.container_root(container_id), DIRECTORY)
    return directory if os.path.isdir(directory) else ""


def restore_options(runtime: RuntimeChoice, directory: str) -> any_pb2.Any:
    """The options of a task that is restored from `directory`, where CRIU's log goes, too."""
    options = oci_pb2.Options()
    if runtime.options is not None:
        if not typeurl.is_a(runtime.options, oci_pb2.Options):
            raise FailedPrecondition(f"runtime {runtime.name!r} can't be told of a checkpoint: it is not runc's shim")
        options = typeurl.unpack(runtime.options, oci_pb2.Options)
    options.criu_image_path = os.path.join(directory, archive.IMAGES)
    options.criu_work_path = directory
    return typeurl.pack(options)


def reasons(directory: str) -> str:
    """The last complaints in CRIU's log; "" without any. Blocks."""
    try:
        with open(os.path.join(directory, _LOG), encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if "Error" in line]
    except OSError:
        return ""
    return "; ".join(lines[-_LOG_LINES:])
