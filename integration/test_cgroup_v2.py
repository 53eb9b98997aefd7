"""What only cgroup v2 has: any of its files by name, swap of its own, an end of the whole group, pressure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.linux import cgroups
from integration.kubelet import eventually
from integration.test_resources import update, with_resources

if TYPE_CHECKING:
    from integration.kubelet import Kubelet

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not cgroups.unified(), reason="this machine has cgroup v1")]

Resources = cri.LinuxContainerResources
MIB = 1 << 20
# A child takes more than the limit allows; the shell would live on.
GREEDY = "tail -c 200000000 /dev/zero; echo survived; sleep 100000"


async def files(kubelet: Kubelet, container: str, *names: str) -> list[str]:
    """What is in files of the container's own group."""
    answer = await kubelet.exec(container, "sh", "-c", "cd /sys/fs/cgroup; cat " + " ".join(names))
    return answer.stdout.decode().splitlines()


async def test_a_container_sees_its_own_group_as_the_root_and_can_not_write_it(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    assert (await kubelet.exec(container, "cat", "/proc/self/cgroup")).stdout.decode().strip() == "0::/"
    refused = await kubelet.exec(container, "sh", "-c", "echo 5 > /sys/fs/cgroup/pids.max")
    assert b"Read-only file system" in refused.stderr


async def test_files_given_by_name_are_written_at_the_start_and_by_an_update(kubelet: Kubelet) -> None:
    wanted = Resources(unified={"memory.high": str(48 * MIB), "pids.max": "77", "memory.low": str(8 * MIB)})
    container = await kubelet.run(await kubelet.run_pod(), with_resources(kubelet, "main", wanted))
    names = ("memory.high", "pids.max", "memory.low")
    assert await files(kubelet, container, *names) == [str(48 * MIB), "77", str(8 * MIB)]
    await update(kubelet, container, Resources(unified={"pids.max": "99"}))
    assert await files(kubelet, container, *names) == [str(48 * MIB), "99", str(8 * MIB)]


async def test_swap_is_what_may_be_used_above_memory(kubelet: Kubelet) -> None:
    """The CRI has the sum of both; the file has swap alone."""
    pod = await kubelet.run_pod()
    for name, memory, both, expected in (
        ("none", 64 * MIB, 64 * MIB, "0"),
        ("some", 64 * MIB, 96 * MIB, str(32 * MIB)),
    ):
        wanted = Resources(memory_limit_in_bytes=memory, memory_swap_limit_in_bytes=both)
        container = await kubelet.run(pod, with_resources(kubelet, name, wanted))
        assert await files(kubelet, container, "memory.max", "memory.swap.max") == [str(memory), expected], name
    changed = Resources(memory_limit_in_bytes=80 * MIB, memory_swap_limit_in_bytes=90 * MIB)
    await update(kubelet, container, changed)
    assert await files(kubelet, container, "memory.max", "memory.swap.max") == [str(80 * MIB), str(10 * MIB)]


async def test_when_memory_runs_out_one_process_ends_or_the_whole_group_as_asked(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    limit = Resources(memory_limit_in_bytes=24 * MIB, memory_swap_limit_in_bytes=24 * MIB)
    script = ["sh", "-c", GREEDY]
    config = with_resources(kubelet, "single", limit)
    config.command = script
    single = await kubelet.run(pod, config)

    async def survived() -> bool | None:
        return any("survived" in line for line in await kubelet.log(single)) or None

    assert await eventually(survived, 60)
    assert (await kubelet.status(single)).state == cri.ContainerState.CONTAINER_RUNNING
    assert "oom_kill 1" in await files(kubelet, single, "memory.events")

    limit.unified = {"memory.oom.group": "1"}
    config = with_resources(kubelet, "group", limit)
    config.command = script
    status = await kubelet.exited(await kubelet.run(pod, config), 60)
    assert (status.exit_code, status.reason) == (137, "OOMKilled")


@pytest.mark.shim_only
async def test_pressure_is_told_as_the_kernel_measures_it(kubelet: Kubelet) -> None:
    """Improvement: containerd tells of it from 2.3 on.

    Two loops that share a twentieth of a processor wait most of their time.
    """
    config = with_resources(kubelet, "main", Resources(cpu_period=100_000, cpu_quota=5_000))
    config.command = ["sh", "-c", "while :; do :; done & while :; do :; done"]
    container = await kubelet.run(await kubelet.run_pod(), config)

    async def waited() -> cri.PsiStats | None:
        answer = await kubelet.runtime.container_stats(cri.ContainerStatsRequest(container_id=container))
        found = answer.stats.cpu.psi if answer.stats and answer.stats.cpu else None
        return found if found and found.some and found.some.total > 100_000_000 else None

    pressure = await eventually(waited, 60)
    assert pressure.some
    assert pressure.full
    assert pressure.some.total >= pressure.full.total
    lines = await files(kubelet, container, "cpu.pressure")
    now = int(lines[0].rpartition("total=")[2])  # microseconds (psi.rst)
    assert pressure.some.total <= now * 1000
