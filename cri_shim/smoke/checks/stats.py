"""Statistics and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import NotFound
from cri_shim.smoke.check import Capability
from cri_shim.smoke.configs import RUN_LABEL
from cri_shim.smoke.expect import equal, eventually, present, refused, skip_unless, that

if TYPE_CHECKING:
    from cri_shim.smoke.subject import Subject

stats = Capability("stats")
_MIB = 1 << 20
_BUSY = "while :; do :; done"
_SOON = 25.0  # seconds: runtimes collect what they tell of every ten seconds


async def _of_container(s: Subject, container: str) -> cri.ContainerStats:
    answer = await s.runtime.container_stats(cri.ContainerStatsRequest(container_id=container))
    return present(answer.stats, "statistics")


async def _of_pod(s: Subject, pod_id: str) -> cri.LinuxPodSandboxStats:
    answer = await s.runtime.pod_sandbox_stats(cri.PodSandboxStatsRequest(pod_sandbox_id=pod_id))
    return present(present(answer.stats, "statistics").linux, "statistics of Linux")


async def _listed(s: Subject, **wanted: Any) -> list[str]:
    """The containers that ListContainerStats tells of."""
    request = cri.ListContainerStatsRequest(filter=cri.ContainerStatsFilter(**wanted))
    answer = await s.runtime.list_container_stats(request)
    return [each.attributes.id for each in answer.stats if each.attributes]


@stats.check
async def container_uses_processor_and_memory(s: Subject) -> None:
    """ContainerStats tells the processor time, which grows, and the memory of a container."""
    container = await s.run(s.container_config(["sh", "-c", _BUSY]))
    seen: list[int] = []

    async def grown() -> cri.ContainerStats | None:
        found = await _of_container(s, container)
        usage = found.cpu.usage_core_nano_seconds if found.cpu else None
        if usage and usage.value not in seen:
            seen.append(usage.value)
        return found if len(seen) > 1 else None

    found = await eventually(grown, "two different processor times", _SOON, lambda: seen)
    await s.stop(container)
    that(seen == sorted(seen), "times that grow", seen)
    memory = found.memory.working_set_bytes if found.memory else None
    that(memory and memory.value > 0, "a working set", found.memory)
    that(found.cpu and found.cpu.timestamp > 0, "a time", found.cpu)


@stats.check
async def container_is_named(s: Subject) -> None:
    """Statistics carry the container's id, metadata and labels."""
    container = await s.shared_container()
    found = present((await _of_container(s, container)).attributes, "attributes")
    status = await s.status(container)
    equal("the id", container, found.id)
    equal("metadata and labels", (status.metadata, status.labels), (found.metadata, found.labels))


@stats.check
async def writable_layer_is_measured(s: Subject) -> None:
    """Statistics tell what a container has written to its own layer."""
    container = await s.run(s.container_config())
    await s.shell(container, f"s=0123456789abcdef; for i in {' '.join('1' * 17)}; do s=$s$s; done; printf %s $s >/file")

    async def measured() -> int | None:
        layer = (await _of_container(s, container)).writable_layer
        used = layer.used_bytes.value if layer and layer.used_bytes else 0
        return used if used >= 2 * _MIB else None

    await eventually(measured, "2 MiB used", _SOON)


@stats.check
async def list_by_pod_container_and_label(s: Subject) -> None:
    """ListContainerStats tells of the containers that its filter names, and of no other."""
    pod = await s.pod()
    mine = await s.run(s.container_config(labels={"mine": "yes"}), pod)
    shared = await s.shared_container()

    async def told() -> bool | None:
        return {mine, shared} <= {*await _listed(s, label_selector={RUN_LABEL: s.session.run})} or None

    await eventually(told, "both containers in the list of the run", _SOON)
    equal("by pod", [mine], await _listed(s, pod_sandbox_id=pod.id))
    equal("by container", [mine], await _listed(s, id=mine))
    equal("by label", [mine], await _listed(s, label_selector={RUN_LABEL: s.session.run, "mine": "yes"}))


@stats.check
async def missing_container_is_not_found(s: Subject) -> None:
    """Statistics of a container that is not there are NotFound."""
    await refused(_of_container(s, "f" * 64), "a container that there is not", NotFound)


@stats.check
async def pod_uses_processor_memory_and_processes(s: Subject) -> None:
    """PodSandboxStats tells the processor time, memory and processes of a pod, and of its containers."""
    pod, container = await s.shared_pod(), await s.shared_container()

    async def told() -> cri.LinuxPodSandboxStats | None:
        found = await _of_pod(s, pod.id)
        return found if found.cpu and found.memory and found.cpu.usage_core_nano_seconds else None

    found = await eventually(told, "processor time and memory", _SOON)
    that(found.memory and found.memory.working_set_bytes, "a working set", found.memory)
    named = [each.attributes.id for each in found.containers if each.attributes]
    that(container in named, "the pod's container", named)


@stats.check
async def pod_uses_its_network(s: Subject) -> None:
    """PodSandboxStats tells what went through the pod's default interface."""
    pod = await s.shared_pod()

    async def told() -> cri.NetworkInterfaceUsage | None:
        network = (await _of_pod(s, pod.id)).network
        return network.default_interface if network else None

    usage = await eventually(told, "a default interface", _SOON)
    that(usage.name and usage.rx_bytes is not None and usage.tx_bytes is not None, "a name and bytes", usage)


@stats.check
async def pods_are_listed(s: Subject) -> None:
    """ListPodSandboxStats tells of the pods that its filter names, and of no other."""
    pod = await s.pod(s.pod_config(labels={"mine": "yes"}))
    await s.shared_pod()

    async def listed(**wanted: Any) -> list[str]:
        request = cri.ListPodSandboxStatsRequest(filter=cri.PodSandboxStatsFilter(**wanted))
        answer = await s.runtime.list_pod_sandbox_stats(request)
        return [each.attributes.id for each in answer.stats if each.attributes]

    async def told() -> bool | None:
        return pod.id in await listed(id=pod.id) or None

    await eventually(told, "the pod in the list", _SOON)
    equal("by id", [pod.id], await listed(id=pod.id))
    equal("by label", [pod.id], await listed(label_selector={RUN_LABEL: s.session.run, "mine": "yes"}))


@stats.check
async def missing_pod_is_not_found(s: Subject) -> None:
    """Statistics of a pod that is not there are NotFound."""
    await refused(_of_pod(s, "f" * 64), "a pod that there is not", NotFound)


@stats.check
async def metrics_fit_their_descriptors(s: Subject) -> None:
    """Each metric of ListPodSandboxMetrics has a descriptor, and a value for each of its labels."""
    listed = await s.runtime.list_metric_descriptors(cri.ListMetricDescriptorsRequest())
    descriptors = {each.name: each for each in listed.descriptors}
    skip_unless(descriptors, "the endpoint describes no metrics")
    pod = await s.shared_pod()
    await s.shared_container()

    async def told() -> cri.PodSandboxMetrics | None:
        answer = await s.runtime.list_pod_sandbox_metrics(cri.ListPodSandboxMetricsRequest())
        found = next((each for each in answer.pod_metrics if each.pod_sandbox_id == pod.id), None)
        return found if found and found.container_metrics else None

    found = await eventually(told, "metrics of the pod and a container", _SOON)
    for metric in [*found.metrics, *(metric for each in found.container_metrics for metric in each.metrics)]:
        that(metric.name in descriptors, f"a descriptor of {metric.name}", sorted(descriptors))
        keys = descriptors[metric.name].label_keys
        equal(f"labels of {metric.name}: {keys}", len(keys), len(metric.label_values))


@stats.check
async def many_asking_at_once(s: Subject) -> None:
    """Twenty lists of statistics at the same time are all answered."""
    container = await s.shared_container()
    answered: list[int] = []

    async def ask() -> None:
        answered.append(len(await _listed(s, id=container)))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(ask)
    equal("answers", 20, len(answered))
