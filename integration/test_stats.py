"""What containers and pods use: what runs moves what it should, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError, Status
from grpclib.client import Channel

from cri_shim.api.cgroups.cgroup1.stats import metrics_pb2 as v1
from cri_shim.api.cgroups.cgroup2.stats import metrics_pb2 as v2
from cri_shim.api.containerd.services.tasks.v1 import tasks_grpc, tasks_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.containerd import typeurl
from integration.harness.containerd import NAMESPACE
from integration.kubelet import BUSYBOX, eventually

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet, Pod

pytestmark = pytest.mark.anyio

MIB = 1 << 20
PING, PINGS = 4000, 3  # bytes, how many
PARENT = "/kubepods-stats/pod"  # without it containerd's plugin can't tell of a pod
A_LOT = 50_000_000  # of a rate, in nanoseconds a second
LOADS = {
    "idle": "sleep 100000",
    "busy": "while :; do :; done",
    "hog": f"head -c {24 * MIB} /dev/zero | tail | sleep 100000",
    "writer": f"head -c {8 * MIB} /dev/zero > /big; sleep 100000",
    "sender": f"while ! ping -c {PINGS} -s {PING} $(ip route | awk '/default/ {{print $3}}'); do :; done; sleep 100000",
}


async def stats_of(kubelet: Kubelet, **wanted: object) -> dict[str, cri.ContainerStats]:
    """The stats of the containers that are wanted, by name."""
    request = cri.ListContainerStatsRequest(filter=cri.ContainerStatsFilter(**wanted))  # type: ignore[arg-type]
    found = (await kubelet.runtime.list_container_stats(request)).stats
    return {stats.attributes.metadata.name: stats for stats in found if stats.attributes and stats.attributes.metadata}


async def pod_stats(kubelet: Kubelet, pod: Pod) -> cri.LinuxPodSandboxStats:
    answer = await kubelet.runtime.pod_sandbox_stats(cri.PodSandboxStatsRequest(pod_sandbox_id=pod.id))
    assert answer.stats
    assert answer.stats.attributes
    assert answer.stats.attributes.metadata == pod.config.metadata
    assert answer.stats.linux
    return answer.stats.linux


def number(value: cri.UInt64Value | None) -> int:
    return value.value if value is not None else -1


def rate(stats: cri.ContainerStats) -> int:
    return number(stats.cpu.usage_nano_cores if stats.cpu else None)


def rss(stats: cri.ContainerStats | cri.LinuxPodSandboxStats) -> int:
    return number(stats.memory.rss_bytes if stats.memory else None)


def written(stats: cri.ContainerStats) -> int:
    return number(stats.writable_layer.used_bytes if stats.writable_layer else None)


def eth0(stats: cri.LinuxPodSandboxStats) -> cri.NetworkInterfaceUsage:
    found = stats.network.default_interface if stats.network else None
    assert found
    assert found.name == "eth0"
    return found


async def test_each_load_moves_what_it_should_and_nothing_else(kubelet: Kubelet, endpoint: str) -> None:
    config = kubelet.pod_config()
    assert config.linux
    config.linux.cgroup_parent = PARENT
    pod = await kubelet.run_pod(config)
    ids = {
        name: await kubelet.run(pod, kubelet.container_config(["sh", "-c", command], name=name))
        for name, command in LOADS.items()
    }
    await kubelet.create(pod, kubelet.container_config(name="created"))

    async def moved() -> dict[str, cri.ContainerStats] | None:
        found = await stats_of(kubelet, pod_sandbox_id=pod.id)
        seen = (
            {name for name in LOADS if rate(found[name]) > A_LOT} == {"busy"},
            rss(found["hog"]) > 24 * MIB,
            written(found["writer"]) >= 8 * MIB,
            number(eth0(await pod_stats(kubelet, pod)).tx_bytes) > PINGS * PING,
        )
        return found if all(seen) else None

    found = await eventually(moved, 30)
    assert set(found) == {*LOADS, "created"}
    for name, stats in found.items():
        assert stats.attributes
        assert stats.attributes.labels == {"io.kubernetes.container.name": name}
        assert stats.writable_layer
        assert stats.writable_layer.fs_id
        assert stats.writable_layer.fs_id.mountpoint.endswith("io.containerd.snapshotter.v1.overlayfs")
        assert (written(stats) >= 8 * MIB) == (name == "writer")
    assert found.pop("created").cpu is None
    for name, stats in found.items():
        assert stats.cpu
        assert stats.memory
        assert stats.cpu.timestamp == stats.memory.timestamp > 0
        assert number(stats.memory.available_bytes) == 0
        assert 0 < number(stats.memory.working_set_bytes) <= number(stats.memory.usage_bytes)
        assert (rss(stats) > 24 * MIB) == (name == "hog")

    of_pod = await pod_stats(kubelet, pod)
    assert of_pod.cpu
    assert number(of_pod.cpu.usage_core_nano_seconds) > A_LOT
    assert rss(of_pod) > 24 * MIB
    assert number(eth0(of_pod).rx_bytes) > PINGS * PING
    assert of_pod.process
    assert number(of_pod.process.process_count) >= len(LOADS)
    assert {item.attributes.id for item in of_pod.containers if item.attributes} >= set(ids.values())

    one = await kubelet.runtime.container_stats(cri.ContainerStatsRequest(container_id=ids["busy"][:20]))
    assert one.stats
    assert one.stats.attributes
    assert one.stats.attributes.id == ids["busy"]
    if endpoint == "shim":  # containerd's plugin leaves these out
        assert of_pod.cpu.usage_nano_cores
        assert rate(one.stats) > 0
        assert of_pod.network
        assert [item.name for item in of_pod.network.interfaces] == ["eth0"]

    await kubelet.stop(ids["busy"])
    assert (await stats_of(kubelet, id=ids["busy"]))["busy"].cpu is None
    assert set(await stats_of(kubelet, label_selector={"io.kubernetes.container.name": "hog"})) == {"hog"}
    assert await stats_of(kubelet, id="0000") == {}


async def test_a_pod_that_is_stopped_has_no_stats_and_is_left_out(kubelet: Kubelet) -> None:
    config = kubelet.pod_config(labels={"app": "stopped"})
    assert config.linux
    config.linux.cgroup_parent = PARENT
    pod = await kubelet.run_pod(config)
    wanted = cri.PodSandboxStatsFilter(label_selector={"app": "stopped"})
    request = cri.ListPodSandboxStatsRequest(filter=wanted)
    assert len((await kubelet.runtime.list_pod_sandbox_stats(request)).stats) == 1
    await kubelet.stop_pod(pod)
    assert (await kubelet.runtime.list_pod_sandbox_stats(request)).stats == []
    with pytest.raises(GRPCError) as failure:
        await pod_stats(kubelet, pod)
    assert failure.value.status is Status.UNAVAILABLE


@pytest.mark.shim_only  # containerd's plugin can't tell of a pod without a cgroup of its own
async def test_a_pod_on_the_nodes_network_without_a_cgroup_of_its_own(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod(kubelet.pod_config(host_network=True))
    await kubelet.run(pod)
    usage = await pod_stats(kubelet, pod)
    (container,) = usage.containers
    assert usage.network is None
    assert usage.memory
    assert container.memory
    assert usage.memory.usage_bytes == container.memory.usage_bytes
    assert usage.process
    assert number(usage.process.process_count) == 1


@pytest.mark.shim_only  # what is compared with is what containerd's plugin would answer
async def test_the_numbers_are_those_that_containerd_tells(kubelet: Kubelet, running: RunningNode) -> None:
    pod = await kubelet.run_pod()
    name = await kubelet.run(
        pod, kubelet.container_config(["sh", "-c", f"head -c {8 * MIB} /dev/zero | tail | sleep 9999"])
    )
    channel = Channel(path=str(running.containerd.socket))
    request = tasks_pb2.MetricsRequest(filters=[f"id=={name}"])
    try:
        stub = tasks_grpc.TasksStub(channel)

        async def equal() -> bool | None:
            stats = (await kubelet.runtime.container_stats(cri.ContainerStatsRequest(container_id=name))).stats
            answer = await stub.Metrics(request, metadata={"containerd-namespace": NAMESPACE})
            assert stats
            assert stats.cpu
            assert stats.memory
            ours = (
                number(stats.cpu.usage_core_nano_seconds),
                number(stats.memory.usage_bytes),
                number(stats.memory.working_set_bytes),
                number(stats.memory.rss_bytes),
                number(stats.memory.page_faults),
            )
            return True if ours == told(answer.metrics[0].data) else None

        await eventually(equal, 20)  # once it sleeps
    finally:
        channel.close()


def told(data: object) -> tuple[int, ...]:
    if typeurl.is_a(data, v2.Metrics):  # type: ignore[arg-type]
        metrics = typeurl.unpack(data, v2.Metrics)  # type: ignore[arg-type]
        memory = metrics.memory
        working = memory.usage - memory.inactive_file
        return metrics.cpu.usage_usec * 1000, memory.usage, working, memory.anon, memory.pgfault
    old = typeurl.unpack(data, v1.Metrics)  # type: ignore[arg-type]
    usage = old.memory.usage.usage
    working = usage - old.memory.total_inactive_file
    return old.cpu.usage.total, usage, working, old.memory.total_rss, old.memory.total_pg_fault


@pytest.mark.shim_only  # containerd's plugin of the node's version has no streams
async def test_a_stream_of_stats_is_the_list_in_pieces(kubelet: Kubelet) -> None:
    pod, other = await kubelet.run_pod(), await kubelet.run_pod()
    ids = {await kubelet.run(pod, kubelet.container_config(name=name)) for name in ("one", "two")}
    await kubelet.run(other)
    streamed = [
        stats.attributes.id
        async for piece in kubelet.runtime.stream_container_stats(
            cri.StreamContainerStatsRequest(filter=cri.ContainerStatsFilter(pod_sandbox_id=pod.id))
        )
        for stats in piece.container_stats
        if stats.attributes
    ]
    assert sorted(streamed) == sorted(ids)
    pods = [
        stats
        async for piece in kubelet.runtime.stream_pod_sandbox_stats(cri.StreamPodSandboxStatsRequest())
        for stats in piece.pod_sandbox_stats
    ]
    assert {stats.attributes.id for stats in pods if stats.attributes} >= {pod.id, other.id}
    assert {len(stats.linux.containers) for stats in pods if stats.linux} == {1, 2}


@pytest.mark.shim_only  # containerd's plugin of the node's version has no metrics
async def test_the_metrics_are_those_that_are_described_and_name_their_container(kubelet: Kubelet) -> None:
    described = (await kubelet.runtime.list_metric_descriptors(cri.ListMetricDescriptorsRequest())).descriptors
    keys = {descriptor.name: descriptor.label_keys for descriptor in described}
    config = kubelet.pod_config("metrics")
    assert config.linux
    config.linux.cgroup_parent = PARENT
    limits = cri.LinuxContainerResources(cpu_period=100_000, cpu_quota=50_000, memory_limit_in_bytes=64 * MIB)
    linux = cri.LinuxContainerConfig(resources=limits)
    pod = await kubelet.run_pod(config)
    command = ["sh", "-c", "exec 9</etc/passwd; exec sleep 9999"]
    container = await kubelet.run(pod, kubelet.container_config(command, linux=linux))

    async def settled() -> bool | None:
        return (await kubelet.exec(container, "pidof", "sleep")).exit_code == 0 or None

    await eventually(settled)
    answer = await kubelet.runtime.list_pod_sandbox_metrics(cri.ListPodSandboxMetricsRequest())
    (of_pod,) = (item for item in answer.pod_metrics if item.pod_sandbox_id == pod.id)
    (of_container,) = of_pod.container_metrics
    assert of_container.container_id == container

    values = {}
    for metric in [*of_pod.metrics, *of_container.metrics]:
        labels = dict(zip(keys[metric.name], metric.label_values, strict=True))
        assert metric.timestamp > 0
        assert (labels["pod"], labels["namespace"]) == (config.metadata and config.metadata.name, "default")
        values[metric.name, labels["container"]] = number(metric.value)
        if labels["container"]:
            assert (labels["id"], labels["image"]) == (container, BUSYBOX)
        else:
            assert (labels["id"], labels["image"]) == (pod.id, "")
    of_some_kernels = ("container_pressure_", "container_hugetlb_", "container_blkio_")
    optional = {name for name in keys if name.startswith(of_some_kernels)}
    optional |= {f"container_fs_{verb}{what}_total" for verb in ("reads", "writes") for what in ("", "_bytes")}
    assert set(keys) - {name for name, _ in values} <= optional
    assert values["container_spec_memory_limit_bytes", "main"] == 64 * MIB
    assert values["container_spec_cpu_quota", "main"] == 50_000
    assert values["container_processes", "main"] == 1
    assert values["container_file_descriptors", "main"] >= 4
    assert 0 < values["container_memory_usage_bytes", "main"] <= values["container_memory_usage_bytes", ""]
    assert values["container_start_time_seconds", "main"] == (await kubelet.status(container)).started_at // 10**9
    assert values["container_network_receive_bytes_total", ""] >= 0

    streamed = [
        item.pod_sandbox_id
        async for piece in kubelet.runtime.stream_pod_sandbox_metrics(cri.StreamPodSandboxMetricsRequest())
        for item in piece.pod_sandbox_metrics
    ]
    assert pod.id in streamed
    await kubelet.stop_pod(pod)
    answer = await kubelet.runtime.list_pod_sandbox_metrics(cri.ListPodSandboxMetricsRequest())
    assert pod.id not in [item.pod_sandbox_id for item in answer.pod_metrics]
