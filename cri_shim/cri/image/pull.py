"""PullImage: containerd's Transfer service fetches and unpacks; we answer for credentials and watch the progress.

Pulls of one reference with the same credentials share one transfer; a client that gives up doesn't end it for others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import to_thread

from cri_shim.api.containerd.services.images.v1 import images_pb2
from cri_shim.api.containerd.types import platform_pb2
from cri_shim.api.containerd.types.transfer import imagestore_pb2, progress_pb2, registry_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.containerd import typeurl
from cri_shim.cri.image.credentials import ANONYMOUS, credentials_for
from cri_shim.cri.image.hosts import host_directory
from cri_shim.cri.image.progress import PullProgress
from cri_shim.errors import Canceled, CriError, InvalidArgument, NotFound
from cri_shim.observe.timeline import step
from cri_shim.state import reference
from cri_shim.state.images import MANAGED, MANAGED_LABEL, PINNED, PINNED_LABEL, ImageRecord

if TYPE_CHECKING:
    from cri_shim.containerd.streaming import MessageStream
    from cri_shim.cri.parts import Parts
    from cri_shim.state.reference import Reference

log = structlog.get_logger(__name__)

HANDLER_ANNOTATION = "io.containerd.cri.runtime-handler"
_WATCH_SECONDS = 10.0


async def pull_image(parts: Parts, request: cri.PullImageRequest) -> cri.PullImageResponse:
    """Pull an image; the answer holds its id.

    Raises InvalidArgument for a bad reference, and what the registry or containerd answers.
    """
    if request.image is None or not request.image.image:
        raise InvalidArgument("image.image is missing: give the reference of an image")
    snapshotter = pull_snapshotter(parts, request.image, request.sandbox_config)
    image = await pull(parts, reference.normalised(request.image.image), request.auth, snapshotter)
    return cri.PullImageResponse(image_ref=image.id)


def pull_snapshotter(parts: Parts, image: cri.ImageSpec, pod: cri.PodSandboxConfig | None) -> str:
    """The snapshotter of the runtime handler that the image is pulled for; the default one outside of a pod."""
    settings = parts.settings
    if pod is None:
        return settings.images.snapshotter
    name = image.runtime_handler or pod.annotations.get(HANDLER_ANNOTATION, "")
    platform = settings.images.runtime_platforms.get(name)
    if platform is not None and platform.snapshotter:
        return platform.snapshotter
    handler = settings.runtime.containerd.runtimes.get(name)
    return settings.snapshotter_of(handler) if handler is not None else settings.images.snapshotter


async def pull(parts: Parts, wanted: Reference, auth: cri.AuthConfig | None, snapshotter: str) -> ImageRecord:
    """The image that `wanted` means, fetched anew, joining an equal pull that is under way."""
    key = ("pull", str(wanted), snapshotter, bytes(auth) if auth is not None else b"")
    return await parts.flights.join(key, None, lambda: _pull(parts, wanted, auth, snapshotter))


async def _pull(parts: Parts, wanted: Reference, auth: cri.AuthConfig | None, snapshotter: str) -> ImageRecord:
    labels = _labels(parts, wanted)
    with step("pull", lane="image"):
        await _transfer(parts, wanted, auth, snapshotter, labels)
    return await _record(parts, wanted, labels)


def _labels(parts: Parts, wanted: Reference) -> dict[str, str]:
    labels = {MANAGED_LABEL: MANAGED}
    for pinned in parts.settings.images.pinned_images.values():
        if pinned == str(wanted):
            labels[PINNED_LABEL] = PINNED
    return labels


async def _transfer(
    parts: Parts, wanted: Reference, auth: cri.AuthConfig | None, snapshotter: str, labels: dict[str, str]
) -> None:
    host_dir = await to_thread.run_sync(host_directory, parts.settings.images.registry.config_path, wanted.domain)
    progress, watchdog, failure = PullProgress(), anyio.CancelScope(), None
    containerd = parts.containerd
    async with (
        containerd.streaming.open("progress") as progress_stream,
        containerd.streaming.open("creds") as credentials_stream,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(_follow, progress_stream, progress)
        tasks.start_soon(_answer, credentials_stream, auth)
        tasks.start_soon(_watch, parts, progress, watchdog)
        try:
            with watchdog:
                await containerd.transfer(
                    _source(parts, wanted, credentials_stream.id, host_dir),
                    _destination(parts, wanted, snapshotter, labels),
                    progress_stream=progress_stream.id,
                )
        except CriError as error:
            failure = error.because(f'failed to pull image "{wanted}"')
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if watchdog.cancelled_caught:
        seconds = parts.settings.images.image_pull_progress_timeout
        raise Canceled(
            f'pull of image "{wanted}" ended: nothing was read for image_pull_progress_timeout ({seconds:g} s)'
        )


def _source(parts: Parts, wanted: Reference, credentials_stream: str, host_dir: str) -> registry_pb2.OCIRegistry:
    headers = parts.settings.images.registry.headers
    return registry_pb2.OCIRegistry(
        reference=str(wanted),
        resolver=registry_pb2.RegistryResolver(
            auth_stream=credentials_stream,
            headers={name: ", ".join(values) for name, values in headers.items()},
            host_dir=host_dir,
        ),
    )


def _destination(
    parts: Parts, wanted: Reference, snapshotter: str, labels: dict[str, str]
) -> imagestore_pb2.ImageStore:
    platform = platform_pb2.Platform(os="linux", architecture=parts.architecture)
    return imagestore_pb2.ImageStore(
        name=str(wanted),
        labels=labels,
        platforms=[platform],
        unpacks=[imagestore_pb2.UnpackConfiguration(platform=platform, snapshotter=snapshotter)],
    )


async def _follow(stream: MessageStream, progress: PullProgress) -> None:
    try:
        async for message in stream:
            if typeurl.is_a(message, progress_pb2.Progress):
                progress.update(typeurl.unpack(message, progress_pb2.Progress))
    except CriError as error:  # the transfer itself tells what is wrong
        log.debug("progress of a pull is lost", error=str(error))


async def _answer(stream: MessageStream, auth: cri.AuthConfig | None) -> None:
    """Answer each question for credentials; one without an answer would hold the pull for ever."""
    try:
        async for message in stream:
            await stream.send(_response(typeurl.unpack(message, registry_pb2.AuthRequest).host, auth))
    except CriError as error:  # the transfer itself tells what is wrong
        log.debug("questions for credentials are lost", error=str(error))


def _response(host: str, auth: cri.AuthConfig | None) -> registry_pb2.AuthResponse:
    try:
        found = credentials_for(auth, host)
    except InvalidArgument as error:
        log.warning("credentials can't be used", host=host, error=str(error))
        found = ANONYMOUS
    if found.username:
        return registry_pb2.AuthResponse(
            authType=registry_pb2.CREDENTIALS, username=found.username, secret=found.secret
        )
    return registry_pb2.AuthResponse(authType=registry_pb2.REFRESH, secret=found.secret)


async def _watch(parts: Parts, progress: PullProgress, transfer: anyio.CancelScope) -> None:
    """End a pull whose downloads have stood still for too long."""
    seconds = parts.settings.images.image_pull_progress_timeout
    if not seconds:
        return
    while progress.stalled_for() <= seconds:  # noqa: ASYNC110  (time itself is what is watched)
        await anyio.sleep(min(_WATCH_SECONDS, seconds / 2))
    transfer.cancel()


async def _record(parts: Parts, wanted: Reference, labels: dict[str, str]) -> ImageRecord:
    """Give the image its three names (id, tag, digest), all of them ours."""
    image = await parts.containerd.images.get(str(wanted))
    record = await parts.images.refresh(str(wanted))
    if record is None:
        raise NotFound(f'image "{wanted}" was removed while it was being pulled: pull it again')
    digest = wanted.digest or image.target.digest
    for name in dict.fromkeys((record.id, str(wanted), f"{wanted.name}@{digest}")):
        await parts.images.name_image(images_pb2.Image(name=name, target=image.target), labels)
        record = await parts.images.refresh(name) or record
    return record
