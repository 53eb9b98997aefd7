"""Removing what runs have made: at the end of a run what is left of it, and what runs left that were killed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread
from grpclib.exceptions import GRPCError

from cri_shim.api.runtime import v1 as cri
from cri_shim.smoke import cgroups, directories
from cri_shim.smoke.configs import RUN_LABEL
from cri_shim.smoke.image.own import REPOSITORY

if TYPE_CHECKING:
    from cri_shim.smoke.endpoint import Endpoint

_ATTEMPTS: Final = 15
_PAUSE: Final = 1.0  # seconds between two
_OWN_IMAGE: Final = re.compile(rf"^127\.0\.0\.1:\d+/{REPOSITORY}/[a-z]+(:(?P<run>[0-9a-f]+))?(@.*)?$")


@dataclass(frozen=True)
class Remains:
    """What there is of runs that have ended: pods by id, images by reference, directories by their runs."""

    pods: tuple[str, ...]
    images: tuple[str, ...]
    directories: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.pods or self.images or self.directories)

    def __str__(self) -> str:
        counts = (("pods", self.pods), ("images", self.images), ("directories", self.directories))
        return ", ".join(f"{name}: {len(found)}" for name, found in counts if found) or "nothing"


async def remains(endpoint: Endpoint) -> Remains:
    """What runs have left that are no longer alive."""
    pods = (await endpoint.runtime.list_pod_sandbox(cri.ListPodSandboxRequest())).items
    images = (await endpoint.images.list_images(cri.ListImagesRequest())).images
    runs = await directories.runs(endpoint.place)
    names = [name for image in images for name in _names(image)]
    tagged = {name: match["run"] for name in names if (match := _OWN_IMAGE.match(name))}
    groups = await to_thread.run_sync(cgroups.runs, endpoint.place)
    known = {*runs, *groups, *(run for run in tagged.values() if run), *(pod.labels.get(RUN_LABEL, "") for pod in pods)}
    alive = {run for run in known if run and await to_thread.run_sync(directories.is_alive, endpoint.place, run)}
    return Remains(
        tuple(pod.id for pod in pods if pod.labels.get(RUN_LABEL, "") in known - alive - {""}),
        tuple(name for name, run in tagged.items() if (run not in alive if run else not alive)),
        tuple(run for run in {*runs, *groups} if run not in alive),
    )


async def sweep(endpoint: Endpoint, found: Remains) -> list[str]:
    """Remove it all; what could not be removed, and why."""
    left = [error for pod in found.pods if (error := await _remove_pod(endpoint, pod))]
    left += [error for name in found.images if (error := await _remove_image(endpoint, name))]
    for run in found.directories:
        await to_thread.run_sync(cgroups.remove, endpoint.place, run)
        await directories.remove(endpoint.place, run)
    return left


async def end_run(endpoint: Endpoint, run: str, images: list[str]) -> list[str]:
    """Remove whatever is there of one run, its `images` included; what could not be removed, and why."""
    wanted = cri.PodSandboxFilter(label_selector={RUN_LABEL: run})
    try:
        listed = await endpoint.runtime.list_pod_sandbox(cri.ListPodSandboxRequest(filter=wanted))
    except (GRPCError, OSError) as error:
        return [f"the pods with label {RUN_LABEL}={run}: {error}"]
    mine = tuple(pod.id for pod in listed.items if pod.labels.get(RUN_LABEL) == run)
    left = await sweep(endpoint, Remains(mine, tuple(images), ()))
    await to_thread.run_sync(cgroups.remove, endpoint.place, run)
    return left


async def _remove_pod(endpoint: Endpoint, pod: str) -> str:
    """Stop and remove it, again and again for a while: a call that its killed client began may still be under way."""
    error: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            await endpoint.runtime.stop_pod_sandbox(cri.StopPodSandboxRequest(pod_sandbox_id=pod))
            await endpoint.runtime.remove_pod_sandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=pod))
        except (GRPCError, OSError) as failed:
            error = failed
            await anyio.sleep(_PAUSE)
        else:
            return ""
    return f"pod {pod}: {error}"


async def _remove_image(endpoint: Endpoint, name: str) -> str:
    try:
        await endpoint.images.remove_image(cri.RemoveImageRequest(image=cri.ImageSpec(image=name)))
    except (GRPCError, OSError) as error:
        return f"image {name}: {error}"
    return ""


def _names(image: cri.Image) -> list[str]:
    return [*image.repo_tags, *image.repo_digests]
