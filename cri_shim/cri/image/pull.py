"""PullImage: containerd's Transfer service fetches and unpacks; we answer for credentials and watch the progress.

Pulls of one reference with the same credentials share one transfer; a client that gives up doesn't end it for others.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from cri_shim.api.containerd.services.images.v1 import images_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.image.discard import discard_layers
from cri_shim.cri.image.fitness import check_fitness
from cri_shim.cri.image.transfer import Wanted, transfer
from cri_shim.cri.image.unpack import ensure_unpacked
from cri_shim.errors import CriError, InvalidArgument, NotFound
from cri_shim.linux.binfmt import emulates
from cri_shim.observe.timeline import Timeline, step
from cri_shim.state import reference
from cri_shim.state.images import MANAGED, MANAGED_LABEL, PINNED, PINNED_LABEL, ImageRecord
from cri_shim.state.undo import CLEANUP_SECONDS

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.reference import Reference

HANDLER_ANNOTATION = "io.containerd.cri.runtime-handler"


async def pull_image(parts: Parts, request: cri.PullImageRequest) -> cri.PullImageResponse:
    """Pull an image; the answer holds its id.

    Raises InvalidArgument for a bad reference, and what the registry or containerd answers.
    """
    if request.image is None or not request.image.image:
        raise InvalidArgument("image.image is missing: give the reference of an image")
    snapshotter = pull_snapshotter(parts, request.image, request.sandbox_config)
    timeline = Timeline("PullImage")
    with timeline.recording():
        image = await pull(parts, reference.normalised(request.image.image), request.auth, snapshotter)
    parts.pulls.keep(image.id, timeline)
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
    job = Wanted(wanted, auth, snapshotter, labels_of(parts, wanted))
    return await parts.flights.join(key, None, lambda: _pull(parts, job))


async def _pull(parts: Parts, wanted: Wanted) -> ImageRecord:
    name = str(wanted.reference)
    there_before = name in parts.images
    with parts.pulls.begin(name) as progress, step("pull", lane="image"):
        await transfer(parts, wanted, progress)
        try:
            with step("name", lane="image"):
                image = await record(parts, wanted)
            await ensure_unpacked(parts, image, wanted.snapshotter)
        except CriError:
            if not there_before:
                await _forget(parts, name)
            raise
        if parts.settings.images.discard_unpacked_layers:
            await discard_layers(parts, image.target, wanted.snapshotter)
        return image


def labels_of(parts: Parts, wanted: Reference) -> dict[str, str]:
    """The labels of an image's names: it is the kubelet's, and perhaps not to be collected."""
    labels = {MANAGED_LABEL: MANAGED}
    for pinned in parts.settings.images.pinned_images.values():
        if pinned == str(wanted):
            labels[PINNED_LABEL] = PINNED
    return labels


async def record(parts: Parts, wanted: Wanted) -> ImageRecord:
    """Give an image that has come its three names (id, tag, digest), all of them ours.

    Raises NotFound when it isn't there, FailedPrecondition when it is of no use on this node.
    """
    name = str(wanted.reference)
    image = await parts.containerd.images.get(name)
    found = await parts.images.refresh(name)
    if found is None:
        raise NotFound(f'image "{name}" was removed while it was being pulled: pull it again')
    check_fitness(name, found.config, parts.architecture, emulated=await to_thread.run_sync(emulates))
    digest = wanted.reference.digest or image.target.digest
    for one in dict.fromkeys((found.id, name, f"{wanted.reference.name}@{digest}")):
        await parts.images.name_image(images_pb2.Image(name=one, target=image.target), wanted.labels)
        found = await parts.images.refresh(one) or found
    return found


async def _forget(parts: Parts, name: str) -> None:
    """Take away the name of what was fetched and is of no use here, and its id if nothing else names it."""
    with anyio.move_on_after(CLEANUP_SECONDS, shield=True), suppress(CriError):
        names = {name}
        with suppress(NotFound):
            image = parts.images.resolve(name)
            if set(image.references) <= {name, image.id}:
                names.add(image.id)
        for one in names:
            with suppress(NotFound):
                await parts.containerd.images.delete(one)
            await parts.images.refresh(one)
