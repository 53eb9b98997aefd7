"""One transfer of an image from its registry into containerd's store and a snapshotter, by the Transfer service.

containerd fetches and unpacks; it asks us for credentials and tells how it gets on.
Source: containerd `core/transfer/registry`, `core/transfer/image`, `internal/cri/server/images/image_pull.go`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import to_thread

from cri_shim.api.containerd.types import platform_pb2
from cri_shim.api.containerd.types.transfer import imagestore_pb2, progress_pb2, registry_pb2
from cri_shim.containerd import typeurl
from cri_shim.cri.image.credentials import ANONYMOUS, configured, credentials_for, given
from cri_shim.cri.image.failure import corrupt_ingest, pull_failure
from cri_shim.cri.image.hosts import host_directory, servers
from cri_shim.cri.image.unpack import unpacks_as_it_fetches
from cri_shim.errors import Canceled, CriError, FailedPrecondition, InvalidArgument
from cri_shim.observe.timeline import step_ended

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cri_shim.api.runtime import v1 as cri
    from cri_shim.config.image_settings import RegistrySettings
    from cri_shim.containerd.events import Events
    from cri_shim.containerd.streaming import MessageStream
    from cri_shim.cri.image.progress import Done, PullProgress
    from cri_shim.cri.parts import Parts
    from cri_shim.state.reference import Reference

log = structlog.get_logger(__name__)

PROGRESS_TOPIC = "/cri-shim/pull"

_WATCH_SECONDS = 10.0


@dataclass(frozen=True)
class Wanted:
    """What is pulled, for whom, and into which snapshotter; `labels` are for its name."""

    reference: Reference
    auth: cri.AuthConfig | None
    snapshotter: str
    labels: dict[str, str]


async def transfer(parts: Parts, wanted: Wanted, progress: PullProgress) -> None:
    """Fetch and unpack. Raises what the registry answers, in words to act on; Canceled when nothing moves any more."""
    registry = parts.registries.settings
    directory = await to_thread.run_sync(host_directory, parts.registries.config_path, wanted.reference.domain)
    asked = await to_thread.run_sync(servers, directory, wanted.reference.domain)
    headers = {name: ", ".join(values) for name, values in registry.headers.items()} | _bearer(wanted, asked)
    watchdog, failure = anyio.CancelScope(), None
    streaming = parts.containerd.streaming
    async with (
        streaming.open("progress") as progress_stream,
        streaming.open("creds") as credentials_stream,
        parts.containerd.leases.temporary() as lease,
        anyio.create_task_group() as tasks,
    ):
        resolver = registry_pb2.RegistryResolver(auth_stream=credentials_stream.id, headers=headers, host_dir=directory)
        source = registry_pb2.OCIRegistry(reference=str(wanted.reference), resolver=resolver)
        tasks.start_soon(_follow, progress_stream, progress, parts.containerd.events)
        tasks.start_soon(_answer, credentials_stream, wanted.auth, registry)
        tasks.start_soon(_watch, parts, progress, watchdog)
        tasks.start_soon(_tell, progress, parts.containerd.events)
        try:
            with watchdog:
                await parts.containerd.transfer(
                    source,
                    await destination(parts, wanted, str(wanted.reference)),
                    progress_stream=progress_stream.id,
                    lease=lease,
                )
        except CriError as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        await _drop_corrupt(parts, failure)
        raise pull_failure(failure, wanted.reference, asked, given(wanted.auth))
    for done in progress.rest():
        await _record(progress, done, parts.containerd.events)
    if watchdog.cancelled_caught:
        seconds = parts.settings.images.image_pull_progress_timeout
        raise Canceled(
            f'pull of image "{wanted.reference}" ended: '
            f"nothing was read for image_pull_progress_timeout ({seconds:g} s)"
        )


def _bearer(wanted: Wanted, asked: list[str]) -> dict[str, str]:
    """A registry token as a header, which goes to every server that is asked.

    containerd takes no token as an answer to its question for credentials. So that no other server learns it, it is
    given only where the registry itself is the only one. Raises FailedPrecondition where it isn't.
    """
    auth = wanted.auth
    if auth is None or not auth.registry_token or auth.username or auth.identity_token or auth.auth:
        return {}
    if len(asked) > 1:
        raise FailedPrecondition(
            f"auth.registry_token can't be used for {wanted.reference.domain}: mirrors ({', '.join(asked)}) would be "
            "told it, too; give a user name and a password, or an identity token"
        )
    return {"Authorization": f"Bearer {auth.registry_token}"}


async def destination(
    parts: Parts, wanted: Wanted, name: str, extra_references: Iterable[imagestore_pb2.ImageReference] = ()
) -> imagestore_pb2.ImageStore:
    """The image store, as the end of a transfer: for this machine's platform, unpacked for the handler if that will do.

    An empty `name` leaves the images the names of their own; `extra_references` name those that have none.
    """
    platform = platform_pb2.Platform(os="linux", architecture=parts.architecture)
    unpack = imagestore_pb2.UnpackConfiguration(platform=platform, snapshotter=wanted.snapshotter)
    return imagestore_pb2.ImageStore(
        name=name,
        labels=wanted.labels,
        platforms=[platform],
        extra_references=extra_references,
        unpacks=[unpack] if await unpacks_as_it_fetches(parts, wanted.snapshotter) else [],
    )


async def _follow(stream: MessageStream, progress: PullProgress, events: Events) -> None:
    try:
        async for message in stream:
            if typeurl.is_a(message, progress_pb2.Progress):
                done = progress.update(typeurl.unpack(message, progress_pb2.Progress))
                if done is not None:
                    await _record(progress, done, events)
    except CriError as error:  # the transfer itself tells what is wrong
        log.debug("progress of a pull is lost", error=str(error))


async def _record(progress: PullProgress, done: Done, events: Events) -> None:
    kind, _, digest = done.blob.partition("-")
    step_ended(done.what, f"{kind} {digest.partition(':')[2][:8]}", done.begin)
    log.debug("part of a pull ended", image=progress.image, what=done.what, blob=done.blob, bytes=done.size)
    await _publish(events, progress, [done.blob])


async def _tell(progress: PullProgress, events: Events) -> None:
    """Say now and then how far a pull is that takes its time, in the log and as events."""
    while True:
        await anyio.sleep(_WATCH_SECONDS)
        outstanding = progress.summary()
        log.info("pull under way", image=progress.image, bytes=progress.bytes_read, blobs=outstanding)
        await _publish(events, progress, outstanding)


async def _publish(events: Events, progress: PullProgress, names: Iterable[str]) -> None:
    """How far these blobs are, for whoever listens to containerd's events: in its own words, with the image above."""
    with suppress(CriError):  # nothing hangs on it, and the transfer itself tells what is wrong
        for name in names:
            blob = progress.blobs[name]
            event = progress_pb2.Progress(
                event=blob.state, name=name, parents=[progress.image], progress=blob.done, total=blob.total
            )
            await events.publish(PROGRESS_TOPIC, event)


async def _answer(stream: MessageStream, auth: cri.AuthConfig | None, registry: RegistrySettings) -> None:
    """Answer each question for credentials; one without an answer would hold the pull for ever."""
    try:
        async for message in stream:
            await stream.send(_response(typeurl.unpack(message, registry_pb2.AuthRequest).host, auth, registry))
    except CriError as error:  # the transfer itself tells what is wrong
        log.debug("questions for credentials are lost", error=str(error))


def _response(host: str, auth: cri.AuthConfig | None, registry: RegistrySettings) -> registry_pb2.AuthResponse:
    try:
        found = credentials_for(auth or configured(registry, host), host)
    except InvalidArgument as error:
        log.warning("credentials can't be used", host=host, error=str(error))
        found = ANONYMOUS
    if found.username:
        return registry_pb2.AuthResponse(
            authType=registry_pb2.CREDENTIALS, username=found.username, secret=found.secret
        )
    return registry_pb2.AuthResponse(authType=registry_pb2.REFRESH, secret=found.secret)


async def _watch(parts: Parts, progress: PullProgress, transfer: anyio.CancelScope) -> None:
    """End a pull that has stood still for too long."""
    seconds = parts.settings.images.image_pull_progress_timeout
    if not seconds:
        return
    while parts.pulls.stalled_for(progress) <= seconds:  # noqa: ASYNC110  (time itself is what is watched)
        await anyio.sleep(min(_WATCH_SECONDS, seconds / 2))
    transfer.cancel()


async def _drop_corrupt(parts: Parts, failure: CriError) -> None:
    if ref := corrupt_ingest(failure):
        with suppress(CriError):  # gone, or containerd is: the next pull tells
            await parts.containerd.content.abort(ref)
