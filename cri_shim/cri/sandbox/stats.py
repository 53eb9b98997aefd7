"""PodSandboxStats and its lists: a pod's own cgroup and network, and what its containers use; from memory.

The kubelet asks for it in its `PodAndContainerStatsFromCRI` mode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import Encoded, encode, framed
from cri_shim.cri.chunks import chunks
from cri_shim.cri.container.stats import encoded_stats
from cri_shim.cri.sandbox.list import select_sandboxes
from cri_shim.errors import Unavailable
from cri_shim.state.sandbox import SandboxState
from cri_shim.stats import to_cri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container
    from cri_shim.state.sandbox import Sandbox
    from cri_shim.stats.collector import Reading

_LINUX, _CONTAINERS = 2, 5
"""The numbers of PodSandboxStats.linux and of LinuxPodSandboxStats.containers, which is encoded already."""


async def pod_sandbox_stats(parts: Parts, request: cri.PodSandboxStatsRequest) -> Encoded[cri.PodSandboxStatsResponse]:
    """What a pod uses. NotFound when there is none; Unavailable (as containerd's plugin) when it is not ready."""
    sandbox = parts.sandboxes.find(request.pod_sandbox_id)
    if sandbox.status.state is not SandboxState.READY:
        raise Unavailable(f"sandbox {sandbox.id} ({sandbox.metadata.name}) is not ready: nothing runs in it")
    (item,) = await _items(parts, [sandbox])
    return Encoded(cri.PodSandboxStatsResponse, item)


async def list_pod_sandbox_stats(
    parts: Parts, request: cri.ListPodSandboxStatsRequest
) -> Encoded[cri.ListPodSandboxStatsResponse]:
    """What the ready pods use that match every part of the filter that is given."""
    return Encoded(cri.ListPodSandboxStatsResponse, b"".join(await _items(parts, _selected(parts, request.filter))))


async def stream_pod_sandbox_stats(
    parts: Parts, request: cri.StreamPodSandboxStatsRequest
) -> AsyncIterator[Encoded[cri.StreamPodSandboxStatsResponse]]:
    """As `list_pod_sandbox_stats`, in pieces."""
    for chunk in chunks(cri.StreamPodSandboxStatsResponse, await _items(parts, _selected(parts, request.filter))):
        yield chunk


def _selected(parts: Parts, wanted: cri.PodSandboxStatsFilter | None) -> list[Sandbox]:
    wanted = wanted or cri.PodSandboxStatsFilter()
    ready = cri.PodSandboxStateValue(state=cri.PodSandboxState.SANDBOX_READY)
    return list(
        select_sandboxes(parts, cri.PodSandboxFilter(id=wanted.id, state=ready, label_selector=wanted.label_selector))
    )


async def _items(parts: Parts, sandboxes: list[Sandbox]) -> list[bytes]:
    """Each pod as the first field of a response, encoded."""
    pods = parts.containers_by_sandbox(sandboxes)
    await parts.collector.look([*sandboxes, *(item for containers in pods.values() for item in containers)])
    return [framed(1, _encoded(parts, sandbox, pods)) for sandbox in sandboxes]


def _encoded(parts: Parts, sandbox: Sandbox, pods: Mapping[str, list[Container]]) -> bytes:
    reading, containers = parts.collector.of(sandbox), pods[sandbox.id]
    if reading is None:  # it has ended since it was selected
        linux = b""
    elif reading.encoded is None:
        linux = reading.encoded = encode(_usage(parts, reading, containers))
    else:
        linux = reading.encoded
    inside = b"".join(framed(_CONTAINERS, encoded_stats(parts, container)) for container in containers)
    return encode(cri.PodSandboxStats(attributes=_attributes(sandbox))) + framed(_LINUX, linux + inside)


def _attributes(sandbox: Sandbox) -> cri.PodSandboxAttributes:
    config = sandbox.metadata.config
    return cri.PodSandboxAttributes(
        id=sandbox.id, metadata=config.metadata, labels=config.labels, annotations=config.annotations
    )


def _usage(parts: Parts, reading: Reading, containers: Iterable[Container]) -> cri.LinuxPodSandboxStats:
    """All but the containers; the kubelet counts the processes of the containers, not the pause process."""
    sample = reading.sample
    seen = [found.sample for container in containers if (found := parts.collector.of(container)) is not None]
    return cri.LinuxPodSandboxStats(
        cpu=to_cri.cpu(reading),
        memory=to_cri.memory(sample),
        network=to_cri.network(reading),
        process=cri.ProcessUsage(
            timestamp=sample.at,
            process_count=cri.UInt64Value(value=sum(one.processes or 0 for one in seen)),
        ),
        io=to_cri.io(sample),
    )
