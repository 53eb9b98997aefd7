"""ContainerStats and its lists: from memory, each message encoded once between two looks at the container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import Encoded, encode, framed
from cri_shim.cri.chunks import chunks
from cri_shim.cri.container.list import select_containers
from cri_shim.stats import to_cri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container
    from cri_shim.stats.collector import Reading


async def container_stats(parts: Parts, request: cri.ContainerStatsRequest) -> Encoded[cri.ContainerStatsResponse]:
    """What a container uses; one that doesn't run has a writable layer only. NotFound when there is none."""
    container = parts.containers.find(request.container_id)
    await parts.collector.look([container])
    return Encoded(cri.ContainerStatsResponse, framed(1, encoded_stats(parts, container)))


async def list_container_stats(
    parts: Parts, request: cri.ListContainerStatsRequest
) -> Encoded[cri.ListContainerStatsResponse]:
    """What the containers use that match every part of the filter that is given."""
    return Encoded(cri.ListContainerStatsResponse, b"".join(await _items(parts, request.filter)))


async def stream_container_stats(
    parts: Parts, request: cri.StreamContainerStatsRequest
) -> AsyncIterator[Encoded[cri.StreamContainerStatsResponse]]:
    """As `list_container_stats`, in pieces."""
    for chunk in chunks(cri.StreamContainerStatsResponse, await _items(parts, request.filter)):
        yield chunk


async def _items(parts: Parts, wanted: cri.ContainerStatsFilter | None) -> list[bytes]:
    wanted = wanted or cri.ContainerStatsFilter()
    selected = list(
        select_containers(
            parts,
            cri.ContainerFilter(
                id=wanted.id, pod_sandbox_id=wanted.pod_sandbox_id, label_selector=wanted.label_selector
            ),
        )
    )
    await parts.collector.look(selected)
    return [framed(1, encoded_stats(parts, container)) for container in selected]


def encoded_stats(parts: Parts, container: Container) -> bytes:
    """The container's ContainerStats, encoded; kept until it is looked at again."""
    reading = parts.collector.of(container)
    if reading is None:
        return encode(_stats(parts, container, None))
    if reading.encoded is None:
        reading.encoded = encode(_stats(parts, container, reading))
    return reading.encoded


def _stats(parts: Parts, container: Container, reading: Reading | None) -> cri.ContainerStats:
    config = container.metadata.config
    stats = cri.ContainerStats(
        attributes=cri.ContainerAttributes(
            id=container.id, metadata=config.metadata, labels=config.labels, annotations=config.annotations
        ),
        writable_layer=_writable_layer(parts, container),
    )
    if reading is not None:
        sample = reading.sample
        stats.cpu, stats.memory = to_cri.cpu(reading), to_cri.memory(sample)
        stats.swap, stats.io = to_cri.swap(sample), to_cri.io(sample)
    return stats


def _writable_layer(parts: Parts, container: Container) -> cri.FilesystemUsage:
    """What the container has written to its root file system, as of the last time that was measured."""
    snapshotter = container.runtime.snapshotter
    usage = parts.snapshot_usage.of(snapshotter, container.id)
    return cri.FilesystemUsage(
        timestamp=usage.at if usage else 0,
        fs_id=cri.FilesystemIdentifier(mountpoint=parts.snapshot_usage.root(snapshotter)),
        used_bytes=cri.UInt64Value(value=usage.size if usage else 0),
        inodes_used=cri.UInt64Value(value=usage.inodes if usage else 0),
    )
