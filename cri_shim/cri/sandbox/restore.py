"""RestorePod: a pod run anew, and its containers restored in it from what CheckpointPod has written.

The request says what the pod and its containers are and may do, the checkpoint only what they had in memory and on
disk: whoever could write into it would else be root on the node. Until the last container runs it is no pod; what
fails takes all of it down again.

Source: cri-api `api.proto`; the files' layout is ours (`checkpoint.py`).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

import anyio
import msgspec
import structlog
from anyio import to_thread

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.container.checkpoint import require_criu
from cri_shim.cri.container.create import create_container
from cri_shim.cri.container.restore import Checkpoint
from cri_shim.cri.container.start import start_container
from cri_shim.cri.sandbox.checkpoint import DESCRIPTION, VERSION
from cri_shim.cri.sandbox.remove import remove_pod_sandbox
from cri_shim.cri.sandbox.run import run_pod_sandbox
from cri_shim.cri.sandbox.stop import stop_pod_sandbox
from cri_shim.errors import CriError, FailedPrecondition, InvalidArgument
from cri_shim.linux.files import read_regular
from cri_shim.state.ids import sandbox_name
from cri_shim.state.undo import CLEANUP_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cri_shim.cri.parts import Parts

log = structlog.get_logger(__name__)

_LONGEST: Final = 4 << 20  # of the description: it holds a pod's whole configuration
_ARCHIVE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,250}\.tar")


class _Container(msgspec.Struct, frozen=True):
    """One container of the description."""

    name: str
    archive: str


class _Description(msgspec.Struct, frozen=True):
    """`pod.json`, as far as it counts."""

    version: int
    containers: list[_Container]


async def restore_pod(parts: Parts, request: cri.RestorePodRequest) -> cri.RestorePodResponse:
    """Run the pod `config` with the containers `container_configs`, restored from the directory `checkpoint_path`.

    Raises InvalidArgument for a path that isn't absolute, a config without metadata, an option (there are none) and
    containers that are not those of the checkpoint; FailedPrecondition without CRIU, for a directory that holds no
    checkpoint of ours and where such a pod is there already; and what RunPodSandbox, CreateContainer and StartContainer
    raise. The request once more, while the first is in flight, gets its answer.
    """
    path, config = request.checkpoint_path, request.config
    if not os.path.isabs(path):
        raise InvalidArgument(f"checkpoint_path {path!r}: give the absolute path of a pod's checkpoint")
    if config is None or config.metadata is None:
        raise InvalidArgument("config.metadata is missing: a pod needs at least a name, a namespace and a uid")
    for option in request.options:
        raise InvalidArgument(f"options[{option!r}]: there is no such option, nor any other")
    require_criu(parts, f"the pod in {path}", "restored")
    archives = _matched(path, await to_thread.run_sync(_describe, path), request.container_configs)
    name = sandbox_name(config.metadata)
    if (owner := parts.sandbox_names.owner(name)) is not None and parts.sandboxes.get(owner) is not None:
        raise FailedPrecondition(f"pod {name} is there already, as {owner}: it is not restored over a living one")
    return await parts.flights.join(f"restore of pod {name}", request, lambda: _restore(parts, request, archives))


def _describe(directory: str) -> _Description:
    path = os.path.join(directory, DESCRIPTION)
    try:
        described = msgspec.json.decode(read_regular(path, _LONGEST), type=_Description)
    except OSError as error:
        raise FailedPrecondition(f"{path} can't be read: {error.strerror}: no pod's checkpoint is there") from error
    except msgspec.MsgspecError as error:
        raise FailedPrecondition(f"{path} doesn't describe a pod's checkpoint: {error}") from error
    if described.version != VERSION:
        raise FailedPrecondition(f"{path} is of version {described.version}: this runtime restores {VERSION}")
    for container in described.containers:
        if _ARCHIVE.fullmatch(container.archive) is None:
            raise FailedPrecondition(f"{path} names {container.archive!r}, which is no archive's name")
    return described


def _matched(
    path: str, described: _Description, configs: Sequence[cri.ContainerConfig]
) -> list[tuple[cri.ContainerConfig, Checkpoint]]:
    """Each config with the checkpoint of the container of its name. InvalidArgument unless they are one to one."""
    wanted = Counter(config.metadata.name if config.metadata else "" for config in configs)
    there = Counter(container.name for container in described.containers)
    if wanted != there or any(count > 1 for count in there.values()) or not there:
        raise InvalidArgument(
            f"container_configs are of {sorted(wanted.elements())}, but the checkpoint in {path} is of containers "
            f"{sorted(there.elements())}: give one config for each, by the name in its metadata"
        )
    archives = {container.name: os.path.join(path, container.archive) for container in described.containers}
    paths = [archives[config.metadata.name if config.metadata else ""] for config in configs]
    return [
        (config, Checkpoint(f"checkpoint {archive}", path=archive, of_pod=True))
        for config, archive in zip(configs, paths, strict=True)
    ]


async def _restore(
    parts: Parts, request: cri.RestorePodRequest, archives: Sequence[tuple[cri.ContainerConfig, Checkpoint]]
) -> cri.RestorePodResponse:
    run = cri.RunPodSandboxRequest(config=request.config, runtime_handler=request.runtime_handler)
    pod = (await run_pod_sandbox(parts, run)).pod_sandbox_id
    try:
        restored = await _containers(parts, pod, request.config, archives)
    except BaseException:
        with anyio.move_on_after(CLEANUP_SECONDS, shield=True):
            await _take_down(parts, pod)
        raise
    log.info("pod restored", pod_sandbox_id=pod, checkpoint_path=request.checkpoint_path, containers=list(restored))
    return cri.RestorePodResponse(
        pod_sandbox_id=pod,
        restored_containers=[
            cri.RestoredContainer(name=name, container_id=container) for name, container in restored.items()
        ],
    )


async def _containers(
    parts: Parts,
    pod: str,
    config: cri.PodSandboxConfig | None,
    archives: Sequence[tuple[cri.ContainerConfig, Checkpoint]],
) -> Mapping[str, str]:
    """Create all containers, then start them, in the configs' order; their ids by their names."""
    ids: dict[str, str] = {}
    for container, checkpoint in archives:
        create = cri.CreateContainerRequest(pod_sandbox_id=pod, config=container, sandbox_config=config)
        created = await create_container(parts, create, checkpoint)
        ids[container.metadata.name if container.metadata else ""] = created.container_id
    for container_id in ids.values():
        await start_container(parts, cri.StartContainerRequest(container_id=container_id))
    return ids


async def _take_down(parts: Parts, pod: str) -> None:
    try:
        await stop_pod_sandbox(parts, cri.StopPodSandboxRequest(pod_sandbox_id=pod))
        await remove_pod_sandbox(parts, cri.RemovePodSandboxRequest(pod_sandbox_id=pod))
    except CriError as error:
        log.error("a pod that was not restored is left", pod_sandbox_id=pod, error=str(error))
