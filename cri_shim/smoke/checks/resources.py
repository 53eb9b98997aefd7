"""Limits of containers, and their change while they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import NotFound
from cri_shim.smoke.check import Capability
from cri_shim.smoke.expect import equal, present, refused, skip_unless

if TYPE_CHECKING:
    from cri_shim.smoke.subject import Subject

resources = Capability("resources")
Resources = cri.LinuxContainerResources
_MIB = 1 << 20
# Each is read where version 2 of cgroups has it, else where version 1 does.
_MEMORY = "memory.max", "memory/memory.limit_in_bytes"
_QUOTA = "cpu.max", "cpu/cpu.cfs_quota_us"
_CPUS = "cpuset.cpus", "cpuset/cpuset.cpus"
_SHARES = "cpu.weight", "cpu/cpu.shares"


async def _limit(s: Subject, container: str, place: tuple[str, str]) -> str:
    """A limit's file in the container's own cgroup: its first word."""
    version2, version1 = (f"/sys/fs/cgroup/{path}" for path in place)
    said = await s.shell(container, f"cat {version2} 2>/dev/null || cat {version1}")
    return said.split()[0]


async def _limited(s: Subject, wanted: Resources) -> str:
    return await s.run(s.container_config(resources=wanted))


async def _update(s: Subject, container: str, wanted: Resources) -> None:
    request = cri.UpdateContainerResourcesRequest(container_id=container, linux=wanted)
    await s.runtime.update_container_resources(request)


async def _told(s: Subject, container: str) -> Resources:
    """What ContainerStatus tells of them."""
    told = (await s.status(container)).resources
    skip_unless(told and told.linux, "the endpoint does not tell of resources")
    return present(present(told, "resources").linux, "resources of Linux")


@resources.check
async def memory_limit_is_in_force(s: Subject) -> None:
    """A limit of memory is that of the container's cgroup."""
    container = await _limited(s, Resources(memory_limit_in_bytes=64 * _MIB))
    equal("bytes", str(64 * _MIB), await _limit(s, container, _MEMORY))


@resources.check
async def processor_quota_is_in_force(s: Subject) -> None:
    """A quota of processor time is that of the container's cgroup."""
    container = await _limited(s, Resources(cpu_period=100_000, cpu_quota=20_000))
    equal("microseconds in a period", "20000", await _limit(s, container, _QUOTA))


@resources.check
async def processor_shares_are_in_force(s: Subject) -> None:
    """More shares of processor time weigh more."""
    few, many = [await _limited(s, Resources(cpu_shares=shares)) for shares in (256, 2048)]
    weights = [int(await _limit(s, container, _SHARES)) for container in (few, many)]
    equal("weights in order", sorted({*weights}), weights)


@resources.check
async def processors_are_chosen(s: Subject) -> None:
    """A set of processors is that of the container."""
    container = await _limited(s, Resources(cpuset_cpus="0"))
    said = await s.shell(container, "while read -r n v; do [ $n = Cpus_allowed_list: ] && echo $v; done "
                         "</proc/self/status")  # fmt: skip
    equal("processors", "0", said)


@resources.check
async def oom_score_is_in_force(s: Subject) -> None:
    """The score by which the kernel chooses whom to kill is that of the request."""
    wanted = Resources(oom_score_adj=777)
    equal("the score", ["777"], await s.says("cat /proc/self/oom_score_adj", resources=wanted))


@resources.check
async def limits_are_told(s: Subject) -> None:
    """ContainerStatus tells the limits of a container."""
    container = await _limited(s, Resources(cpu_quota=20_000, cpu_period=100_000, memory_limit_in_bytes=64 * _MIB))
    told = await _told(s, container)
    found = (told.cpu_quota, told.cpu_period, told.memory_limit_in_bytes)
    equal("quota, period, memory", (20_000, 100_000, 64 * _MIB), found)


@resources.check
async def limits_change_while_it_runs(s: Subject) -> None:
    """UpdateContainerResources changes what is in force, and what is told, and nothing that it does not name."""
    container = await _limited(s, Resources(cpu_quota=20_000, cpu_period=100_000, memory_limit_in_bytes=64 * _MIB))
    await _update(s, container, Resources(memory_limit_in_bytes=96 * _MIB))
    equal("bytes", str(96 * _MIB), await _limit(s, container, _MEMORY))
    equal("the quota as before", "20000", await _limit(s, container, _QUOTA))
    equal("bytes that are told", 96 * _MIB, (await _told(s, container)).memory_limit_in_bytes)


@resources.check
async def limits_change_before_it_runs(s: Subject) -> None:
    """Limits that are changed before the start are those it starts with."""
    config = s.container_config(resources=Resources(memory_limit_in_bytes=64 * _MIB))
    container = await s.create(config)
    await _update(s, container, Resources(memory_limit_in_bytes=96 * _MIB))
    await s.start(container)
    equal("bytes", str(96 * _MIB), await _limit(s, container, _MEMORY))


@resources.check
async def impossible_limits_change_nothing(s: Subject) -> None:
    """A change that the kernel can't make is refused, and the limits stay as they are."""
    container = await _limited(s, Resources(cpuset_cpus="0"))
    await refused(_update(s, container, Resources(cpuset_cpus="4000")), "a processor that there is not")
    equal("processors", "0", await _limit(s, container, _CPUS))


@resources.check
async def missing_container_is_not_found(s: Subject) -> None:
    """A change of a container that is not there is NotFound."""
    call = _update(s, "f" * 64, Resources(cpu_shares=512))
    await refused(call, "a container that there is not", NotFound)
