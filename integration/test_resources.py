"""Limits as the kernel has them, before and after they are changed, and what is told of them."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError
from grpclib.const import Status

from cri_shim.api.runtime import v1 as cri
from integration.harness.containerd import MAIN
from integration.restarts import restart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet

pytestmark = pytest.mark.anyio

Resources = cri.LinuxContainerResources
MIB = 1 << 20
AT_FIRST = Resources(
    cpu_period=100_000,
    cpu_quota=50_000,
    cpu_shares=512,
    memory_limit_in_bytes=64 * MIB,
    cpuset_cpus="0",
    oom_score_adj=7,
)
LATER = Resources(cpu_quota=20_000, cpu_shares=1024, memory_limit_in_bytes=96 * MIB, cpuset_cpus="0-1")
NARROW = Resources(cpu_quota=10_000)

# The files of both versions of cgroups, where a container sees them.
FILES = {
    "quota": "cpu/cpu.cfs_quota_us cpu.max",
    "shares": "cpu/cpu.shares cpu.weight",
    "memory": "memory/memory.limit_in_bytes memory.max",
    "cpus": "cpuset/cpuset.cpus cpuset.cpus",
}
WEIGHTS = {512: ("20", "59"), 1024: ("39", "100")}  # of version 2, as older and newer runtimes convert shares


async def limits(kubelet: Kubelet, container: str) -> dict[str, str]:
    """The limits that a container finds itself under."""
    script = "; ".join(
        f'for f in {files}; do [ ! -e /sys/fs/cgroup/$f ] || echo "{name} $(cat /sys/fs/cgroup/$f)"; done'
        for name, files in FILES.items()
    )
    lines = (await kubelet.exec(container, "sh", "-c", script)).stdout.decode().splitlines()
    return {line.split()[0]: line.split()[1] for line in lines}


def as_told(wanted: Resources, found: dict[str, str]) -> dict[str, str]:
    """What `limits` should find: shares are another number in version 2."""
    known = (str(wanted.cpu_shares), *WEIGHTS[wanted.cpu_shares])
    shares = found["shares"] if found["shares"] in known else known[0]
    return {
        "quota": str(wanted.cpu_quota),
        "shares": shares,
        "memory": str(wanted.memory_limit_in_bytes),
        "cpus": wanted.cpuset_cpus,
    }


def with_resources(kubelet: Kubelet, name: str, wanted: Resources) -> cri.ContainerConfig:
    context = cri.LinuxContainerSecurityContext()
    return kubelet.container_config(
        name=name, linux=cri.LinuxContainerConfig(resources=wanted, security_context=context)
    )


async def update(kubelet: Kubelet, container: str, wanted: Resources) -> None:
    await kubelet.runtime.update_container_resources(
        cri.UpdateContainerResourcesRequest(container_id=container, linux=wanted)
    )


async def told(kubelet: Kubelet, container: str) -> Resources:
    status = await kubelet.status(container)
    assert status.resources is not None
    assert status.resources.linux is not None
    return status.resources.linux


async def test_limits_are_in_force_and_change_while_the_container_runs(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod(), with_resources(kubelet, "main", AT_FIRST))
    found = await limits(kubelet, container)
    assert found == as_told(AT_FIRST, found)
    await update(kubelet, container, LATER)
    found = await limits(kubelet, container)
    assert found == as_told(LATER, found)
    await update(kubelet, container, NARROW)
    found = await limits(kubelet, container)
    assert found == as_told(LATER, found) | {"quota": "10000"}, "what isn't given stays"
    now = await told(kubelet, container)
    assert (now.cpu_quota, now.cpu_shares, now.memory_limit_in_bytes) == (10_000, 1024, 96 * MIB)
    assert (now.cpu_period, now.cpuset_cpus, now.oom_score_adj) == (100_000, "0-1", 7)


async def test_limits_changed_before_the_start_are_those_of_the_start(kubelet: Kubelet) -> None:
    container = await kubelet.create(await kubelet.run_pod(), with_resources(kubelet, "main", AT_FIRST))
    await update(kubelet, container, LATER)
    assert (await told(kubelet, container)).memory_limit_in_bytes == 96 * MIB
    await kubelet.start(container)
    found = await limits(kubelet, container)
    assert found == as_told(LATER, found)


async def test_limits_that_the_kernel_refuses_change_nothing(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod(), with_resources(kubelet, "main", AT_FIRST))
    before = await limits(kubelet, container)
    with pytest.raises(GRPCError):
        await update(kubelet, container, Resources(cpuset_cpus="4000"))
    assert await limits(kubelet, container) == before
    assert (await told(kubelet, container)).cpuset_cpus == "0"
    info = (
        await kubelet.runtime.container_status(cri.ContainerStatusRequest(container_id=container, verbose=True))
    ).info["info"]
    assert json.loads(info)["runtimeSpec"]["linux"]["resources"]["cpu"]["cpus"] == "0"


async def test_a_container_that_has_ended_is_no_error_and_a_missing_one_is(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod(), with_resources(kubelet, "main", AT_FIRST))
    await kubelet.stop(container)
    await update(kubelet, container, LATER)
    assert (await told(kubelet, container)).cpu_quota == 20_000
    with pytest.raises(GRPCError) as caught:
        await update(kubelet, "f" * 64, LATER)
    assert caught.value.status is Status.NOT_FOUND


@pytest.mark.shim_only
async def test_limits_that_can_not_be_are_refused_by_name(kubelet: Kubelet) -> None:
    """Improvement: containerd leaves it to the kernel, which names no field."""
    container = await kubelet.create(await kubelet.run_pod())
    with pytest.raises(GRPCError) as caught:
        await update(kubelet, container, Resources(cpu_period=7))
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert "linux.cpu_period is 7" in (caught.value.message or "")


@pytest.mark.shim_only
async def test_what_was_changed_is_still_told_after_a_restart(kubelet: Kubelet, running: RunningNode) -> None:
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod, with_resources(kubelet, "main", AT_FIRST))
    await update(kubelet, container, LATER)
    resources = Resources(cpu_quota=70_000, memory_limit_in_bytes=128 * MIB)
    await kubelet.runtime.update_pod_sandbox_resources(
        cri.UpdatePodSandboxResourcesRequest(pod_sandbox_id=pod.id, resources=resources)
    )
    before = await kubelet.status(container)
    await restart(running, "kill -9")
    assert await kubelet.status(container) == before
    info = json.loads((await kubelet.pod_status(pod, verbose=True)).info["info"])
    assert info["updatedResources"] == {
        "Overhead": None,
        "Resources": {"cpu_quota": 70_000, "memory_limit_in_bytes": 128 * MIB},
    }


@pytest.mark.shim_only
async def test_a_pod_that_is_not_there_has_no_resources(kubelet: Kubelet) -> None:
    """Improvement: containerd has had this call from 2.3 on."""
    with pytest.raises(GRPCError) as caught:
        await kubelet.runtime.update_pod_sandbox_resources(
            cri.UpdatePodSandboxResourcesRequest(pod_sandbox_id="f" * 64)
        )
    assert caught.value.status is Status.NOT_FOUND


CLASSES = """
Classes:
  slow:
  - Devices: [/dev/disks-of-tests/*]
    ThrottleReadBps: 50M
    ThrottleWriteIOPS: 1k
"""
TASKS = "[plugins.'io.containerd.service.v1.tasks-service']\nblockio_config_file = '/etc/containerd/blockio.yaml'\n"


@pytest.fixture
def disk(running: RunningNode) -> Iterator[str]:
    """The number, `major:minor`, of a disk that the class `slow` of the node's is about."""
    numbers = [(entry / "dev").read_text().strip() for entry in sorted(Path("/sys/block").iterdir())]
    if not numbers:
        pytest.skip("this machine has no block device")
    assert running.shim
    node, daemon, device = running.node, running.shim.daemon, running.node.path("/dev/disks-of-tests/one")
    usual = node.path(MAIN.config).read_text()
    device.parent.mkdir()
    os.mknod(device, 0o600 | stat.S_IFBLK, os.makedev(*map(int, numbers[0].split(":"))))
    node.write("/etc/containerd/blockio.yaml", CLASSES)
    node.write(MAIN.config, usual + TASKS)
    daemon.restart()
    try:
        yield numbers[0]
    finally:
        node.write(MAIN.config, usual)
        daemon.restart()
        device.unlink()
        device.parent.rmdir()


@pytest.mark.shim_only  # the peer is configured without classes
@pytest.mark.parametrize("handler", ["", "crun"])
async def test_a_class_of_block_io_is_in_force_and_outlives_an_update(
    disk: str, kubelet: Kubelet, handler: str
) -> None:
    config = kubelet.pod_config()
    config.annotations["blockio.resources.beta.kubernetes.io/pod"] = "slow"
    container = await kubelet.run(await kubelet.run_pod(config, handler=handler), kubelet.container_config())
    probe = "cd /sys/fs/cgroup; cat blkio/blkio.throttle.*_device io.max 2>/dev/null; true"
    limited = (await kubelet.exec(container, "sh", "-c", probe)).stdout.decode().split()
    assert limited in (
        [disk, "50000000", disk, "1000"],
        [disk, "rbps=50000000", "wbps=max", "riops=max", "wiops=1000"],
    )
    await update(kubelet, container, LATER)
    assert (await kubelet.exec(container, "sh", "-c", probe)).stdout.decode().split() == limited


@pytest.mark.shim_only
async def test_a_class_of_block_io_that_there_is_not_is_refused_with_those_that_there_are(
    disk: str,  # noqa: ARG001  (its node has the class)
    kubelet: Kubelet,
) -> None:
    pod = await kubelet.run_pod()
    asked = kubelet.container_config(annotations={"io.kubernetes.cri.blockio-class": "fast"})
    with pytest.raises(GRPCError) as caught:
        await kubelet.create(pod, asked)
    assert caught.value.status is Status.INVALID_ARGUMENT
    message = caught.value.message or ""
    assert "config.annotations['io.kubernetes.cri.blockio-class'] is 'fast'" in message
    assert "there are slow" in message
