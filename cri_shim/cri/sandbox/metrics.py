"""ListMetricDescriptors, ListPodSandboxMetrics, StreamPodSandboxMetrics: what the kubelet serves at /metrics/cadvisor.

Pods have the metrics of their own cgroup and network, containers those of theirs. What the stats don't hold is read
when it is asked for, in a thread, a pod after the other.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from anyio import to_thread

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import Encoded, item
from cri_shim.cri.chunks import chunks
from cri_shim.cri.sandbox.list import select_sandboxes
from cri_shim.stats import metric_set
from cri_shim.stats.details import Details, details_of, open_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container
    from cri_shim.state.sandbox import Sandbox
    from cri_shim.stats.collector import Reading
    from cri_shim.stats.group import Group
    from cri_shim.stats.metric_set import Value

log = structlog.get_logger(__name__)

_TYPES = {descriptor.name: descriptor.type for descriptor in metric_set.DESCRIPTORS}


@dataclass(frozen=True, slots=True)
class _Measured:
    """A container or a pod as it is when the call begins: its base labels, last reading, cgroup."""

    labels: tuple[str, ...]
    reading: Reading
    group: Group | None


@dataclass(frozen=True, slots=True)
class _MeasuredContainer(_Measured):
    id: str
    started_at: int
    resources: cri.LinuxContainerResources | None
    layer: int  # bytes in its writable layer
    root: str  # where layers are kept


def list_metric_descriptors() -> cri.ListMetricDescriptorsResponse:
    """The whole set: not every kernel and every container has them all."""
    return cri.ListMetricDescriptorsResponse(
        descriptors=[
            cri.MetricDescriptor(
                name=descriptor.name, help=descriptor.help, label_keys=[*metric_set.BASE_KEYS, *descriptor.keys]
            )
            for descriptor in metric_set.DESCRIPTORS
        ]
    )


async def list_pod_sandbox_metrics(parts: Parts) -> Encoded[cri.ListPodSandboxMetricsResponse]:
    """The metrics of all ready pods and their running containers."""
    return Encoded(cri.ListPodSandboxMetricsResponse, b"".join(await _items(parts)))


async def stream_pod_sandbox_metrics(parts: Parts) -> AsyncIterator[Encoded[cri.StreamPodSandboxMetricsResponse]]:
    """As `list_pod_sandbox_metrics`, in pieces."""
    for chunk in chunks(cri.StreamPodSandboxMetricsResponse, await _items(parts)):
        yield chunk


async def _items(parts: Parts) -> list[bytes]:
    ready = cri.PodSandboxStateValue(state=cri.PodSandboxState.SANDBOX_READY)
    sandboxes = list(select_sandboxes(parts, cri.PodSandboxFilter(state=ready)))
    pods = parts.containers_by_sandbox(sandboxes)
    await parts.collector.look([*sandboxes, *(one for containers in pods.values() for one in containers)])
    measured = [_measured(parts, sandbox, pods[sandbox.id]) for sandbox in sandboxes]
    return [await to_thread.run_sync(_encoded, *one) for one in measured if one is not None]


def _measured(
    parts: Parts, sandbox: Sandbox, containers: Sequence[Container]
) -> tuple[str, _Measured, list[_MeasuredContainer]] | None:
    """What is known of a pod without asking anybody; None when it has ended meanwhile."""
    reading = parts.collector.of(sandbox)
    if reading is None:
        return None
    pod = _Measured((*_names(sandbox), "", sandbox.id, ""), reading, parts.collector.group(sandbox))
    found = [_measured_container(parts, sandbox, container) for container in containers]
    return sandbox.id, pod, [one for one in found if one is not None]


def _measured_container(parts: Parts, sandbox: Sandbox, container: Container) -> _MeasuredContainer | None:
    reading = parts.collector.of(container)
    if reading is None:
        return None
    config, snapshotter = container.metadata.config, container.runtime.snapshotter
    name = config.metadata.name if config.metadata else ""
    image = config.image.user_specified_image or config.image.image if config.image else ""
    usage, resources = parts.snapshot_usage.of(snapshotter, container.id), container.status.resources
    return _MeasuredContainer(
        labels=(*_names(sandbox), name, container.id, image),
        reading=reading,
        group=parts.collector.group(container),
        id=container.id,
        started_at=container.status.started_at,
        resources=resources.linux if resources else None,
        layer=usage.size if usage else 0,
        root=parts.snapshot_usage.root(snapshotter),
    )


def _names(sandbox: Sandbox) -> tuple[str, str]:
    metadata = sandbox.metadata.config.metadata or cri.PodSandboxMetadata()
    return metadata.name, metadata.namespace


def _encoded(sandbox_id: str, pod: _Measured, containers: Sequence[_MeasuredContainer]) -> bytes:
    """A pod as one `pod_metrics` entry. Blocks."""
    metrics = cri.PodSandboxMetrics(
        pod_sandbox_id=sandbox_id,
        metrics=[_metric(pod, value) for value in _of_pod(pod)],
        container_metrics=[
            cri.ContainerMetrics(
                container_id=container.id, metrics=[_metric(container, value) for value in _of_container(container)]
            )
            for container in containers
        ],
    )
    return item(1, metrics)


def _metric(measured: _Measured, value: Value) -> cri.Metric:
    name, number, labels = value
    return cri.Metric(
        name=name,
        timestamp=measured.reading.sample.at,
        metric_type=_TYPES[name],
        label_values=[*measured.labels, *labels],
        value=cri.UInt64Value(value=number),
    )


def _of_pod(pod: _Measured) -> Iterator[Value]:
    yield from metric_set.usage(pod.reading.sample, _details(pod))
    if pod.reading.interfaces is not None:
        yield from metric_set.network(pod.reading.interfaces)


def _of_container(container: _MeasuredContainer) -> Iterator[Value]:
    details = _details(container)
    yield from metric_set.usage(container.reading.sample, details)
    yield from metric_set.processes(open_files(details.pids))
    yield from metric_set.disk(_disk(container))
    yield from metric_set.spec(container.resources, container.started_at)


def _details(measured: _Measured) -> Details:
    """What its cgroup tells beyond the reading; nothing for one on another machine, or whose files can't be read."""
    if measured.group is None:
        return Details()
    try:
        return details_of(measured.group)
    except OSError as error:
        log.warning("metrics incomplete", cgroup=measured.group.path, error=str(error))
        return Details()


def _disk(container: _MeasuredContainer) -> metric_set.Disk:
    try:
        found = os.statvfs(container.root)
    except OSError as error:
        log.warning("metrics incomplete", directory=container.root, error=str(error))
        return metric_set.Disk(container.layer, 0, 0, 0)
    return metric_set.Disk(container.layer, found.f_blocks * found.f_frsize, found.f_files, found.f_ffree)
