"""CheckpointContainer: a running container's processes, files and description, written to an archive by CRIU.

The container goes on running. The archive is the one that containerd's plugin and CRI-O make, and that checkpointctl
reads: CRIU's images in `checkpoint/`, what the container wrote in `rootfs-diff.tar` (compressed, as the plugin's is),
and what it was in `config.dump`, `spec.dump`, `status.dump`, `status` and `container.log`.

Source: containerd `internal/cri/server/container_checkpoint_linux.go`, checkpointctl `lib/metadata.go`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tarfile
import time
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
import msgspec
import structlog
from anyio import to_thread

from cri_shim.api.containerd.types.runc.options import oci_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.containerd import typeurl
from cri_shim.cri import remains
from cri_shim.cri.container.status import container_status_of
from cri_shim.errors import DeadlineExceeded, FailedPrecondition, InvalidArgument, NotFound, Unknown
from cri_shim.linux.files import remove_tree
from cri_shim.observe.containerd_names import CONTAINER_CHECKPOINT
from cri_shim.state import checkpoint
from cri_shim.state.go_json import to_json_value
from cri_shim.state.undo import CLEANUP_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container

log = structlog.get_logger(__name__)

DIRECTORY = "ctrd-checkpoint"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
NEVER = "0001-01-01T00:00:00Z"  # Go's zero time


async def checkpoint_container(
    parts: Parts, request: cri.CheckpointContainerRequest
) -> cri.CheckpointContainerResponse:
    """Write the checkpoint of a container to `location`; `timeout` is in seconds, 0 for as long as it takes.

    Raises NotFound when there is no such container, InvalidArgument for a location that is no absolute path,
    FailedPrecondition where the node has no CRIU or is configured not to use it, Unknown (as containerd's plugin) for
    a container that doesn't run, and what CRIU reports.
    """
    container = parts.containers.find(request.container_id)
    if not os.path.isabs(request.location):
        raise InvalidArgument(f"location {request.location!r}: give the absolute path of the archive to write")
    require_criu(parts, f"container {container.id}")
    if not container.running:
        state = container.status.state.name
        raise Unknown(f"container {container.id} is in {state} state: only a running one can be checkpointed")
    with CONTAINER_CHECKPOINT.success(container.runtime.name):
        await checkpoint_to(parts, container, request.location, float(request.timeout) or None)
    return cri.CheckpointContainerResponse()


async def checkpoint_to(parts: Parts, container: Container, location: str, seconds: float | None = None) -> None:
    """Write the archive of a running container to `location`, joining an equal request; None for no deadline.

    Cancelled, it leaves its flight (`flight_of`) to undo itself.
    """
    await parts.flights.join(
        flight_of(container),
        (location, seconds),
        lambda: _checkpoint(parts, container, location, seconds),
    )


def flight_of(container: Container) -> str:
    """The key of the one checkpoint of `container` that may be under way."""
    return f"checkpoint of container {container.id}"


def require_criu(parts: Parts, subject: str, what: str = "checkpointed") -> None:
    """Raise FailedPrecondition where `subject` can't be `what` on this node, saying why."""
    if not parts.settings.runtime.enable_criu:
        raise FailedPrecondition(f"{subject} can't be {what}: enable_criu is false in this node's configuration")
    if shutil.which("criu") is None:
        raise FailedPrecondition(
            f"{subject} can't be {what}: there is no criu on this node (PATH is "
            f"{os.environ.get('PATH', '')}): install CRIU 3.16 or later"
        )


async def _checkpoint(parts: Parts, container: Container, location: str, seconds: float | None) -> None:
    work = os.path.join(parts.paths.container_root(container.id), DIRECTORY)
    try:
        with anyio.fail_after(seconds):
            await to_thread.run_sync(_make_directories, work)
            async with _frozen(parts, container):  # what it has written is to be as old as what it knows
                await _dump(parts, container, work, seconds)
                await _save_layer(parts, container, os.path.join(work, "rootfs-diff.tar"))
                await to_thread.run_sync(_save_log, container.metadata.log_path, work)
            documents = await _documents(parts, container)
            await to_thread.run_sync(_write_archive, work, documents, location)
    except TimeoutError:
        raise DeadlineExceeded(f"no checkpoint of container {container.id} within {seconds} s") from None
    except OSError as error:
        raise FailedPrecondition(f"checkpoint of container {container.id} can't be written: {error}") from error
    finally:
        with anyio.move_on_after(CLEANUP_SECONDS, shield=True):
            await to_thread.run_sync(remove_tree, work)
    log.info("container checkpointed", container_id=container.id, location=location)


@asynccontextmanager
async def _frozen(parts: Parts, container: Container) -> AsyncIterator[None]:
    """Have nothing of the container move while the block lasts. Killed meanwhile, the next server thaws it."""
    tasks = parts.containerd.tasks
    try:
        await tasks.pause(container.id)
        yield
    finally:
        with anyio.CancelScope(shield=True), suppress(NotFound):
            await tasks.resume(container.id)


def _save_log(path: str, work: str) -> None:
    if path and os.path.isfile(path):
        shutil.copyfile(path, os.path.join(work, "container.log"))


def _make_directories(work: str) -> None:
    remove_tree(work)
    os.makedirs(os.path.join(work, "checkpoint"), 0o700)


async def _dump(parts: Parts, container: Container, work: str, seconds: float | None) -> None:
    """Have the runtime dump the processes with CRIU, whose log and statistics go beside its images."""
    options = oci_pb2.CheckpointOptions(image_path=os.path.join(work, "checkpoint"), work_path=work)
    await parts.containerd.tasks.checkpoint(container.id, typeurl.pack(options), timeout=seconds)


async def _save_layer(parts: Parts, container: Container, path: str) -> None:
    """Write what the container has changed in its root file system to `path`, as an image's layer."""
    containerd, snapshotter = parts.containerd, container.runtime.snapshotter
    parent = (await containerd.snapshots.stat(snapshotter, container.id)).parent
    view = f"checkpoint-{container.id}-{secrets.token_hex(4)}"
    async with containerd.leases.temporary(hours=1) as lease:
        lower = await containerd.snapshots.view(snapshotter, view, parent, lease=lease)
        try:
            upper = await containerd.snapshots.mounts(snapshotter, container.id)
            layer = await containerd.diff.compare(lower, upper, LAYER, ref=view, lease=lease)
            await containerd.content.save(layer.digest, path)
        finally:
            with anyio.move_on_after(CLEANUP_SECONDS, shield=True):
                await remains.remove_snapshot(parts, snapshotter, view)


async def _documents(parts: Parts, container: Container) -> Mapping[str, bytes]:
    """The archive's files that describe the container, by name."""
    status = container_status_of(parts, container)
    image = status.image.image if status.image else ""
    config = {
        "id": container.id,
        "name": container.metadata.name,
        "rootfsImage": image,
        "rootfsImageRef": status.image_ref,
        "rootfsImageName": image,
        "runtime": container.runtime.name,
        "createdTime": rfc3339(container.status.created_at),
        "checkpointedTime": rfc3339(time.time_ns()),
        "restoredTime": NEVER,
        "restored": False,
    }
    return {
        "config.dump": msgspec.json.encode(config),
        "spec.dump": (await parts.containerd.containers.get(container.id)).spec.value,
        "status.dump": msgspec.json.encode(to_json_value(status)),
        checkpoint.FILE_NAME: checkpoint.encode(container.status),
    }


def rfc3339(nanoseconds: int) -> str:
    """The time so many nanoseconds after the epoch, as Go writes it."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _write_archive(work: str, documents: Mapping[str, bytes], location: str) -> None:
    """Write the archive beside `location`, and give it that name when it is whole. Blocks."""
    for name, content in documents.items():
        with open(os.open(os.path.join(work, name), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
    unfinished = f"{location}.{secrets.token_hex(6)}"
    try:
        fd = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
            for name in sorted(os.listdir(work)):
                archive.add(os.path.join(work, name), name)
        os.replace(unfinished, location)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)
        raise
