"""ContainerStatus: from memory; only a verbose one asks containerd."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri import verbose
from cri_shim.cri.container.stop_signal import cri_signal
from cri_shim.errors import NotFound
from cri_shim.state.go_json import to_json_value

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container

_ENDED = (cri.ContainerState.CONTAINER_EXITED, cri.ContainerState.CONTAINER_UNKNOWN)


async def container_status(parts: Parts, request: cri.ContainerStatusRequest) -> cri.ContainerStatusResponse:
    """The status of a container; NotFound when there is none."""
    container = parts.containers.find(request.container_id)
    return cri.ContainerStatusResponse(
        status=container_status_of(parts, container),
        info=await _info(parts, container) if request.verbose else {},
    )


def container_statuses_of(parts: Parts, sandbox_id: str) -> list[cri.ContainerStatus]:
    """What memory tells of a pod's containers, the newest first.

    With its gate EventedPLEG, a kubelet takes the first of a name for the one that there is now.
    """
    containers = sorted(parts.containers_of(sandbox_id), key=lambda item: item.status.created_at, reverse=True)
    return [container_status_of(parts, container) for container in containers]


def container_status_of(parts: Parts, container: Container) -> cri.ContainerStatus:
    """What memory tells of a container."""
    metadata, status, config = container.metadata, container.status, container.metadata.config
    image, image_ref = _image(parts, container)
    state = status.state
    return cri.ContainerStatus(
        id=container.id,
        metadata=config.metadata,
        state=state,
        created_at=status.created_at,
        started_at=status.started_at if state != cri.ContainerState.CONTAINER_CREATED else 0,
        finished_at=status.finished_at if state in _ENDED else 0,
        exit_code=status.exit_code,
        image=image,
        image_ref=image_ref,
        image_id=metadata.image_ref,
        reason=status.shown_reason,
        message=status.message,
        labels=config.labels,
        annotations=config.annotations,
        mounts=config.mounts,
        log_path=metadata.log_path,
        resources=status.resources,
        user=_user(container),
        stop_signal=cri_signal(config.stop_signal, metadata.stop_signal),
    )


def _image(parts: Parts, container: Container) -> tuple[cri.ImageSpec | None, str]:
    """The image as its first tag and its first digest; while the image is gone, as it was asked for, and its id."""
    metadata = container.metadata
    spec = metadata.config.image
    try:
        image = parts.images.get(metadata.image_ref)
    except NotFound:
        return spec, metadata.image_ref
    shown = cri.ImageSpec(image=image.repo_tags[0]) if image.repo_tags else spec
    return shown, next(iter(image.repo_digests), metadata.image_ref)


def _user(container: Container) -> cri.ContainerUser | None:
    user = container.process.user
    return cri.ContainerUser(
        linux=cri.LinuxContainerUser(uid=user.uid, gid=user.gid, supplemental_groups=list(user.additional_gids or ()))
    )


async def _info(parts: Parts, container: Container) -> dict[str, str]:
    record = None
    with suppress(NotFound):
        record = await parts.containerd.containers.get(container.id)
    values: dict[str, object] = {
        "sandboxID": container.metadata.sandbox_id,
        "pid": container.status.pid,
        "removing": container.removing,
        "snapshotKey": record.snapshot_key if record else "",
        "snapshotter": record.snapshotter if record else "",
        "runtimeType": container.runtime.name,
        "runtimeOptions": verbose.runtime_options(container.runtime),
        "config": to_json_value(container.metadata.config),
        "runtimeSpec": verbose.raw_json(record.spec) if record else None,
    }
    found = verbose.info(values)
    if container.timeline is not None:
        found["timeline"] = container.timeline.to_json()
    return found
