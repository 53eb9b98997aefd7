"""CheckpointPod: the checkpoints of a pod's running containers, in one directory, with what the pod was.

`pod.json` is written last: a directory that has it is whole. All is written below `output_path` and nowhere beside it,
for that directory is the kubelet's, with its quota and its label. The containers go on running. Each archive is the one
that CheckpointContainer writes.

Source: cri-api `api.proto`; the files' layout is the runtime's own, KEP-5823.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
import msgspec
import structlog
from anyio import to_thread

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.container.checkpoint import checkpoint_to, flight_of, require_criu, rfc3339
from cri_shim.errors import FailedPrecondition, InvalidArgument
from cri_shim.linux.files import remove_written, write_atomic
from cri_shim.state.go_json import to_json_value
from cri_shim.state.undo import CLEANUP_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container
    from cri_shim.state.sandbox import Sandbox

log = structlog.get_logger(__name__)

DESCRIPTION: Final = "pod.json"
_FITS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
VERSION: Final = 1  # of the description; a reader refuses one that it does not know


async def checkpoint_pod(parts: Parts, request: cri.CheckpointPodRequest) -> cri.CheckpointPodResponse:
    """Write a pod's checkpoint into the directory `output_path`, made if it isn't there: all of it, or nothing.

    Raises NotFound when there is no such pod or container; InvalidArgument for a path that isn't absolute, an option
    (there are none) and a container of another pod; FailedPrecondition for a directory that isn't empty, where nothing
    of the pod runs or a chosen container doesn't, and as CheckpointContainer without CRIU; and what CRIU reports.
    """
    sandbox = parts.sandboxes.find(request.pod_sandbox_id)
    _check(request)
    require_criu(parts, f"pod {sandbox.id}")
    chosen = _chosen(parts, sandbox, request.container_ids)
    await parts.flights.join(
        f"checkpoint of pod {sandbox.id}",
        request,
        lambda: _checkpoint(parts, sandbox, archives(chosen), request.output_path),
    )
    return cri.CheckpointPodResponse()


def _check(request: cri.CheckpointPodRequest) -> None:
    if not os.path.isabs(request.output_path):
        raise InvalidArgument(f"output_path {request.output_path!r}: give the absolute path of a directory")
    for name in request.options:
        raise InvalidArgument(f"options[{name!r}]: there is no such option, nor any other")


def _chosen(parts: Parts, sandbox: Sandbox, ids: Sequence[str]) -> list[Container]:
    """The containers that `ids` name, each once; without any, those of the pod that run."""
    if not ids:
        running = [container for container in parts.containers_of(sandbox.id) if container.running]
        if not running:
            raise FailedPrecondition(f"pod {sandbox.id} has no running container that could be checkpointed")
        return running
    found = {}
    for number, wanted in enumerate(ids):
        container = parts.containers.find(wanted)
        if container.metadata.sandbox_id != sandbox.id:
            raise InvalidArgument(f"container_ids[{number}] {wanted!r} is not a container of pod {sandbox.id}")
        if not container.running:
            state = container.status.state.name
            raise FailedPrecondition(f"container_ids[{number}] {wanted!r} is in {state} state: only a running one can")
        found[container.id] = container
    return list(found.values())


def archives(containers: Sequence[Container]) -> dict[str, Container]:
    """The archives' file names: the container's name, or its id where the name is another's too or no file's."""
    names = Counter(map(_name, containers))
    files = {}
    for container in containers:
        name = _name(container)
        files[f"{name if names[name] == 1 and _FITS.fullmatch(name) else container.id}.tar"] = container
    return files


def _name(container: Container) -> str:
    metadata = container.metadata.config.metadata
    return metadata.name if metadata else ""


async def _checkpoint(parts: Parts, sandbox: Sandbox, files: Mapping[str, Container], output: str) -> None:
    try:
        made = await to_thread.run_sync(_take, output)
        try:
            for name, container in files.items():
                await checkpoint_to(parts, container, os.path.join(output, name))
            description = msgspec.json.encode(describe(sandbox, files))
            await to_thread.run_sync(write_atomic, os.path.join(output, DESCRIPTION), description, 0o600)
        except BaseException:
            with anyio.move_on_after(CLEANUP_SECONDS, shield=True):
                for container in files.values():
                    await parts.flights.landed(flight_of(container))
                await to_thread.run_sync(_give_back, output, [DESCRIPTION, *files], made)
            raise
    except OSError as error:
        raise FailedPrecondition(f"checkpoint of pod {sandbox.id} can't be written: {error}") from error
    log.info("pod checkpointed", pod_sandbox_id=sandbox.id, output_path=output, archives=list(files))


def _take(output: str) -> bool:
    """Make the directory, unless it is there and empty; whether it was made. Blocks."""
    with suppress(FileExistsError):
        os.mkdir(output, 0o700)
        return True
    if os.listdir(output):
        raise FailedPrecondition(f"output_path {output} is not empty: give a directory that is, or isn't there yet")
    return False


def _give_back(output: str, names: Sequence[str], made: bool) -> None:  # noqa: FBT001  (as `_take` says)
    """Leave nothing of a checkpoint that failed. Blocks."""
    for name in names:
        remove_written(os.path.join(output, name))
    if made:
        with suppress(OSError):  # somebody has put something there
            os.rmdir(output)


def describe(sandbox: Sandbox, files: Mapping[str, Container]) -> dict[str, Any]:
    """The content of `pod.json`: the pod as it was asked for, and which archive is which container's."""
    return {
        "version": VERSION,
        "id": sandbox.id,
        "checkpointedTime": rfc3339(time.time_ns()),
        "runtimeHandler": sandbox.metadata.runtime_handler,
        "config": to_json_value(sandbox.metadata.config),
        "containers": [
            {
                "id": container.id,
                "name": _name(container),
                "archive": name,
                "config": to_json_value(container.metadata.config),
            }
            for name, container in files.items()
        ],
    }
