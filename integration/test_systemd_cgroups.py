"""The systemd cgroup driver: containers are scopes in the slices that the kubelet names, and systemd knows it.

Only where this machine is the node (integration/guest): an enclosure has no systemd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cri_shim.api.runtime import v1 as cri
from integration.harness import this_machine
from integration.kubelet import eventually
from integration.test_resources import limits, update, with_resources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet, Pod

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not this_machine.wanted(), reason="systemd is not this node's"),
]

MIB = 1 << 20
SLICE = "kubepods-burstable-podtest.slice"
PARENT = f"/kubepods.slice/kubepods-burstable.slice/{SLICE}"
AT_FIRST = cri.LinuxContainerResources(
    cpu_period=100_000, cpu_quota=50_000, cpu_shares=512, memory_limit_in_bytes=64 * MIB, cpuset_cpus="0"
)
LATER = cri.LinuxContainerResources(cpu_quota=20_000, cpu_shares=1024, memory_limit_in_bytes=96 * MIB)


@pytest.fixture
async def pod(kubelet: Kubelet, running: RunningNode) -> AsyncIterator[Pod]:
    """A pod whose parent is its own slice, as the kubelet makes one."""
    config = kubelet.pod_config()
    assert config.linux
    config.linux.cgroup_parent = PARENT
    yield await kubelet.run_pod(config)
    await kubelet.remove_all()
    running.node.run(["systemctl", "stop", SLICE], check=False)  # the kubelet's business


def shown(running: RunningNode, unit: str, *properties: str) -> dict[str, str]:
    """Properties of a unit, as systemd knows them."""
    lines = running.node.run(["systemctl", "show", "-p", ",".join(properties), unit]).stdout.splitlines()
    return dict(line.split("=", 1) for line in lines)


def scope(container: str) -> str:
    return f"cri-containerd-{container}.scope"


async def test_the_kubelet_is_told_that_systemd_keeps_the_cgroups(kubelet: Kubelet) -> None:
    answer = await kubelet.runtime.runtime_config(cri.RuntimeConfigRequest())
    assert answer.linux is not None
    assert answer.linux.cgroup_driver == cri.CgroupDriver.SYSTEMD


@pytest.mark.parametrize("handler", ["", "crun"])
async def test_a_container_is_a_scope_in_its_pods_slice_and_goes_with_it(
    kubelet: Kubelet, running: RunningNode, handler: str
) -> None:
    config = kubelet.pod_config()
    assert config.linux
    config.linux.cgroup_parent = PARENT
    pod = await kubelet.run_pod(config, handler=handler)
    container = await kubelet.run(pod, with_resources(kubelet, "main", AT_FIRST))
    for one in (pod.id, container):
        found = shown(running, scope(one), "ActiveState", "Slice", "ControlGroup")
        assert found == {"ActiveState": "active", "Slice": SLICE, "ControlGroup": f"{PARENT}/{scope(one)}"}
    found = shown(running, scope(container), "MemoryMax", "CPUQuotaPerSecUSec", "CPUWeight", "AllowedCPUs")
    assert found["MemoryMax"] == str(64 * MIB)
    assert found["CPUQuotaPerSecUSec"] == "500ms"
    assert (await kubelet.exec(container, "cat", "/proc/self/cgroup")).stdout.decode().strip() == "0::/"
    await kubelet.remove_all()

    async def gone() -> bool | None:
        states = [shown(running, scope(one), "ActiveState")["ActiveState"] for one in (pod.id, container)]
        return states == ["inactive", "inactive"] or None

    assert await eventually(gone)
    running.node.run(["systemctl", "stop", SLICE], check=False)


async def test_limits_that_were_changed_are_systemds_too_and_outlive_its_reload(
    kubelet: Kubelet, running: RunningNode, pod: Pod
) -> None:
    container = await kubelet.run(pod, with_resources(kubelet, "main", AT_FIRST))
    before = await limits(kubelet, container)
    assert (before["memory"], before["quota"], before["cpus"]) == (str(64 * MIB), "50000", "0")
    await update(kubelet, container, LATER)
    changed = await limits(kubelet, container)
    assert (changed["memory"], changed["quota"]) == (str(96 * MIB), "20000")
    assert changed["shares"] != before["shares"]
    assert shown(running, scope(container), "MemoryMax")["MemoryMax"] == str(96 * MIB)
    running.node.run(["systemctl", "daemon-reload"])
    assert await limits(kubelet, container) == changed


async def test_a_pods_stats_are_found_where_systemd_has_put_it(kubelet: Kubelet, pod: Pod) -> None:
    container = await kubelet.run(pod, kubelet.container_config(["sh", "-c", "while :; do :; done"]))

    async def used() -> cri.PodSandboxStatsResponse | None:
        answer = await kubelet.runtime.pod_sandbox_stats(cri.PodSandboxStatsRequest(pod_sandbox_id=pod.id))
        linux = answer.stats.linux if answer.stats else None
        cpu = linux.cpu.usage_core_nano_seconds if linux and linux.cpu else None
        return answer if linux and linux.containers and cpu and cpu.value > 10_000_000 else None

    answer = await eventually(used, 30)
    assert answer.stats
    assert answer.stats.linux
    assert {one.attributes.id for one in answer.stats.linux.containers if one.attributes} >= {container}
    assert answer.stats.linux.memory
    assert answer.stats.linux.memory.working_set_bytes
    assert answer.stats.linux.memory.working_set_bytes.value > 0
