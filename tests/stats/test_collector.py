"""The collector, on made cgroup files and this very process."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio
import pytest
from google.protobuf import any_pb2
from structlog.testing import capture_logs

from cri_shim.api.cgroups.cgroup2.stats import metrics_pb2 as v2
from cri_shim.api.containerd.types.metrics_pb2 import Metric
from cri_shim.api.runtime import v1 as cri
from cri_shim.containerd import typeurl
from cri_shim.errors import Unavailable
from cri_shim.linux.cgroups import Membership
from cri_shim.oci.spec import Process
from cri_shim.state.container import Container, ContainerStatus
from cri_shim.state.metadata import ContainerMetadata, SandboxMetadata
from cri_shim.state.sandbox import RuntimeChoice, Sandbox, SandboxState, SandboxStatus
from cri_shim.state.store import Store
from cri_shim.stats.collector import RUNC, Collector
from cri_shim.stats.hierarchy import Hierarchies, Mounted
from tests.stats import made

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

KATA = "io.containerd.kata.v2"
POD = "/kubepods/pod1"


@dataclass
class Tasks:
    """containerd's, as far as it is asked."""

    metrics_of: dict[str, v2.Metrics] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    gone: bool = False
    odd: str = ""  # whose metrics are of a kind that nobody knows

    async def metrics(self, *filters: str) -> list[Metric]:
        self.asked.extend(filters)
        if self.gone:
            raise Unavailable("containerd is not there")
        found = [Metric(id=each, data=typeurl.pack(metrics)) for each, metrics in self.metrics_of.items()]
        return [Metric(id=self.odd, data=any_pb2.Any(type_url="odd.Metrics")), *found] if self.odd else found


@dataclass
class Node:
    root: Path
    tasks: Tasks = field(default_factory=Tasks)
    containers: Store[Container] = field(default_factory=lambda: Store("container"))
    sandboxes: Store[Sandbox] = field(default_factory=lambda: Store("sandbox"))

    def collector(self, period: float = 0.01) -> Collector:
        """One that finds every group, v1 and v2 alike, below `root`."""
        hierarchies = Hierarchies(unified=Mounted(str(self.root)))
        return Collector(self.containers, self.sandboxes, hierarchies, self.tasks, period)  # type: ignore[arg-type]

    def container(self, name: str, *, runtime: str = RUNC, pod: str = "", running: bool = True) -> Container:
        made_ = Container(
            metadata=ContainerMetadata(id=name, name=name, sandbox_id=pod, config=cri.ContainerConfig()),
            status=ContainerStatus(created_at=1, started_at=2 if running else 0, pid=os.getpid() if running else 0),
            runtime=RuntimeChoice(runtime),
            process=Process(),
        )
        self.containers.add(made_)
        return made_

    def sandbox(self, name: str, parent: str = POD) -> Sandbox:
        config = cri.PodSandboxConfig(linux=cri.LinuxPodSandboxConfig(cgroup_parent=parent))
        made_ = Sandbox(
            metadata=SandboxMetadata(id=name, name=name, config=config),
            status=SandboxStatus(SandboxState.READY, created_at=1, pid=os.getpid()),
            runtime=RuntimeChoice(RUNC),
        )
        self.sandboxes.add(made_)
        return made_


@pytest.fixture
def node(tmp_path, monkeypatch):
    """Every process is in the group of the pod."""
    monkeypatch.setattr("cri_shim.linux.cgroups.memberships", lambda pid: (Membership(0, (), POD),))  # noqa: ARG005
    made.write(tmp_path / POD[1:], made.UNIFIED)
    return Node(tmp_path)


async def test_what_runs_is_looked_at_when_it_is_first_asked_for(node):
    collector, one, sandbox = node.collector(60), node.container("one"), node.sandbox("pod")
    assert collector.of(one) is None
    await collector.look([one, sandbox])
    assert collector.of(one).sample.cpu.usage == 1_234_567_000
    assert collector.of(sandbox).sample.memory.usage == 20 << 20
    assert collector.of(one).nano_cores is None
    assert node.tasks.asked == []
    before = collector.of(one)
    await collector.look([one])
    assert collector.of(one) is before


async def test_what_was_seen_too_long_ago_is_looked_at_again_and_rated_over_that_time(node):
    collector, one = node.collector(), node.container("one")
    await collector.look([one])
    (node.root / POD[1:] / "cpu.stat").write_text("usage_usec 1244567\n")  # 10 ms more
    await anyio.sleep(0.03)
    await collector.look([one])
    reading = collector.of(one)
    assert reading.nano_cores == 10_000_000 * 1_000_000_000 // (reading.sample.at - reading.base.at)
    assert reading.sample.at - reading.base.at > 20_000_000


async def test_a_runtime_elsewhere_is_not_asked_in_every_call(node):
    collector, vm = node.collector(), node.container("vm", runtime=KATA)
    node.tasks.metrics_of["vm"] = v2.Metrics(cpu=v2.CPUStat(usage_usec=7))
    for _ in range(3):
        await collector.look([vm])
        await anyio.sleep(0.03)
    assert node.tasks.asked == ["id==vm"]


async def test_what_does_not_run_is_not_looked_at(node):
    collector, created = node.collector(), node.container("created", running=False)
    sandbox = node.sandbox("pod")
    sandbox.update_status(state=SandboxState.NOTREADY)
    await collector.look([created, sandbox])
    assert collector.of(created) is None
    assert collector.of(sandbox) is None


async def test_what_has_vanished_has_no_reading(node):
    collector, one = node.collector(), node.container("one")
    await collector.look([one])
    shutil.rmtree(node.root / POD[1:])
    other = node.container("other")
    await collector.look([other])
    assert collector.of(other) is None
    one.update_status(finished_at=3)
    assert collector.of(one) is None


async def test_what_can_not_be_measured_is_told_once_and_the_rest_is_measured(node):
    collector, one, sandbox = node.collector(), node.container("one"), node.sandbox("pod")
    shutil.rmtree(node.root / POD[1:])
    made.write(node.root / POD[1:], made.UNIFIED | {"memory.current": "4096\n"})
    (node.root / POD[1:] / "cpu.pressure").unlink()
    (node.root / POD[1:] / "cpu.pressure").mkdir()  # reading it fails, for whatever reason
    with capture_logs() as logs:
        for _ in range(3):
            await collector.look([one, sandbox])
    assert [entry["id"] for entry in logs] == ["one", "pod"]
    assert collector.of(one) is None


async def test_a_pod_whose_network_is_gone_is_measured_all_the_same(node):
    collector, sandbox = node.collector(), node.sandbox("pod")
    sandbox.metadata = replace(sandbox.metadata, netns_path="/nowhere/netns")
    await collector.look([sandbox])
    assert collector.of(sandbox).interfaces == ()
    assert collector.of(sandbox).sample.cpu.usage == 1_234_567_000


async def test_a_rate_is_over_a_real_window_and_the_ended_are_forgotten(node):
    collector, one = node.collector(), node.container("one")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collector.collect)
        while not (reading := collector.of(one)) or reading.nano_cores is None:
            await collector.look([one])
            await anyio.sleep(0.001)
        assert reading.nano_cores == 0  # the files say the same each time
        assert reading.sample.at - reading.base.at >= 5_000_000
        (node.root / POD[1:] / "cpu.stat").write_text("usage_usec 9234567\n")
        while not collector.of(one).nano_cores:
            await collector.look([one])
            await anyio.sleep(0.001)
        assert collector.group(one) is not None
        node.containers.remove(one)
        while collector.group(one) is not None:
            await collector.look([])
            await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()
    assert collector.of(one) is None


async def test_a_runtime_elsewhere_is_asked_and_another_not(node):
    collector = node.collector()
    one, vm = node.container("one"), node.container("vm", runtime=KATA)
    node.tasks.metrics_of["vm"] = v2.Metrics(cpu=v2.CPUStat(usage_usec=7))
    await collector.look([one, vm])
    assert node.tasks.asked == ["id==vm"]
    assert collector.of(vm).sample.cpu.usage == 7000
    assert collector.group(vm) is None


async def test_a_containerd_that_is_gone_takes_no_other_reading_away(node):
    collector = node.collector()
    one, vm = node.container("one"), node.container("vm", runtime=KATA)
    node.tasks.gone = True
    await collector.look([one, vm])
    assert collector.of(one) is not None
    assert collector.of(vm) is None


async def test_a_runtime_whose_metrics_are_odd_takes_no_others_away_and_is_told_of_once(node):
    collector = node.collector()
    odd, vm = node.container("odd", runtime="io.containerd.odd.v1"), node.container("vm", runtime=KATA)
    node.tasks.odd = "odd"
    node.tasks.metrics_of["vm"] = v2.Metrics(cpu=v2.CPUStat(usage_usec=7))
    with capture_logs() as logs:
        for _ in range(3):
            await collector.look([odd, vm])
    assert collector.of(vm).sample.cpu.usage == 7000
    assert collector.of(odd) is None
    assert [(entry["id"], entry["of"]) for entry in logs] == [("odd", "its runtime's metrics")]


async def test_a_pod_without_a_cgroup_of_its_own_is_the_sum_of_its_containers(node):
    collector, sandbox = node.collector(), node.sandbox("pod", parent="")
    containers = [node.container(name, pod="pod") for name in ("one", "two")]
    node.container("elsewhere", pod="other")
    await collector.look([sandbox, *containers])
    sample = collector.of(sandbox).sample
    assert sample.cpu.usage == 2 * 1_234_567_000
    assert (sample.memory.limit, sample.processes) == (2 * 67_108_864, 10)


async def test_a_pod_that_was_looked_at_before_its_container_was_there_is_told_of_with_it(node):
    pod, collector = node.sandbox("pod", parent=""), node.collector()
    await collector.look([pod])
    assert collector.of(pod).sample.memory is None
    container = node.container("new", pod="pod")
    await collector.look([container])  # the pod is not asked about
    assert collector.of(pod).sample.memory.usage == collector.of(container).sample.memory.usage
