"""What the metrics tell beyond the stats. Read when metrics are asked for, and not each second; everything here blocks.

Sources of the fields: containerd `internal/cri/server/list_metric_descriptors.go`, cAdvisor `container/libcontainer`;
where they differ, cAdvisor's meaning, which dashboards are made for.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cri_shim.stats import cgroup_files as files
from cri_shim.stats.group import MICROSECOND, Group, SplitGroup, UnifiedGroup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from cri_shim.stats.cgroup_files import DeviceIo

_TICK: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")  # nanoseconds
_PAGE_SIZE: Final = re.compile(r"hugetlb\.([0-9]+[KMG]B)\.(?:current|usage_in_bytes)")
_OPEN_FILES: Final = re.compile(r"^Max open files +(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Hugepages:
    """Huge pages of one size in use, bytes; `most` is the most that ever were."""

    size: str
    usage: int
    most: int


@dataclass(frozen=True, slots=True)
class Details:
    """Of one cgroup; times are nanoseconds, sizes bytes. What the kernel doesn't account for is 0."""

    user: int = 0
    system: int = 0
    periods: int = 0
    throttled_periods: int = 0
    throttled: int = 0
    cache: int = 0
    mapped_file: int = 0
    active_file: int = 0
    kernel: int = 0
    fail_count: int = 0
    most_memory: int = 0
    oom_kills: int = 0
    threads_limit: int = 0
    io: tuple[DeviceIo, ...] = ()
    hugepages: tuple[Hugepages, ...] = ()
    pids: tuple[int, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """What the processes of a container have open in all, and how much its first one may (soft limit)."""

    descriptors: int
    sockets: int
    limit: int | None


def details_of(group: Group) -> Details:
    """The details of a cgroup; zeros for one that has gone. Raises OSError when it can't be read."""
    if isinstance(group, UnifiedGroup):
        return _unified(group)
    if isinstance(group, SplitGroup):
        return _split(group)
    return Details()


def _unified(group: UnifiedGroup) -> Details:
    cpu, memory = files.keyed(group.read("cpu.stat")), files.keyed(group.read("memory.stat"))
    events = files.keyed(group.read("memory.events"))
    return Details(
        user=cpu.get("user_usec", 0) * MICROSECOND,
        system=cpu.get("system_usec", 0) * MICROSECOND,
        periods=cpu.get("nr_periods", 0),
        throttled_periods=cpu.get("nr_throttled", 0),
        throttled=cpu.get("throttled_usec", 0) * MICROSECOND,
        cache=memory.get("file", 0),
        mapped_file=memory.get("file_mapped", 0),
        active_file=memory.get("active_file", 0),
        kernel=memory.get("kernel", memory.get("kernel_stack", 0)),  # the first from Linux 5.18 on
        fail_count=events.get("max", 0),
        most_memory=files.number(group.read("memory.peak")) or 0,  # from Linux 5.19 on
        oom_kills=events.get("oom_kill", 0),
        threads_limit=files.number(group.read("pids.max")) or 0,
        io=tuple(files.io_stat(group.read("io.stat"))),
        hugepages=tuple(_hugepages(group.directory, "current", "")),
        pids=_pids(group.directory),
    )


def _split(group: SplitGroup) -> Details:
    times, cpu = files.keyed(group.read("cpuacct", "cpuacct.stat")), files.keyed(group.read("cpu", "cpu.stat"))
    memory = files.keyed(group.read("memory", "memory.stat"))
    blkio = [group.read("blkio", f"blkio.throttle.{name}_recursive") for name in ("io_service_bytes", "io_serviced")]
    return Details(
        user=times.get("user", 0) * _TICK,
        system=times.get("system", 0) * _TICK,
        periods=cpu.get("nr_periods", 0),
        throttled_periods=cpu.get("nr_throttled", 0),
        throttled=cpu.get("throttled_time", 0),
        cache=memory.get("total_cache", 0),
        mapped_file=memory.get("total_mapped_file", 0),
        active_file=memory.get("total_active_file", 0),
        kernel=files.number(group.read("memory", "memory.kmem.usage_in_bytes")) or 0,
        fail_count=files.number(group.read("memory", "memory.failcnt")) or 0,
        most_memory=files.number(group.read("memory", "memory.max_usage_in_bytes")) or 0,
        oom_kills=files.keyed(group.read("memory", "memory.oom_control")).get("oom_kill", 0),
        threads_limit=files.number(group.read("pids", "pids.max")) or 0,
        io=tuple(files.blkio(*blkio)),
        hugepages=tuple(_hugepages(group.directories.get("hugetlb", ""), "usage_in_bytes", "max_usage_in_bytes")),
        pids=_pids(group.directories.get("memory", "")),
    )


def _hugepages(directory: str, usage: str, most: str) -> Iterator[Hugepages]:
    """Each page size that is accounted for; v2 keeps no maximum: then it is what is in use."""
    for name in _names(directory):
        if (match := _PAGE_SIZE.fullmatch(name)) is not None:
            used = files.number(files.read(directory, f"hugetlb.{match[1]}.{usage}")) or 0
            peak = files.number(files.read(directory, f"hugetlb.{match[1]}.{most}")) if most else used
            yield Hugepages(match[1], used, peak or 0)


def _pids(directory: str) -> tuple[int, ...]:
    """The processes in a group and in all below it."""
    found: list[int] = []
    for below, _, _ in os.walk(directory):
        found.extend(int(pid) for pid in (files.read(below, "cgroup.procs") or "").split())
    return tuple(found)


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def open_files(pids: Iterable[int]) -> OpenFiles:
    """What processes have open, the first of them a container's own; one that has ended has nothing open."""
    pids = tuple(pids)
    descriptors = sockets = 0
    for pid in pids:
        for name in _names(f"/proc/{pid}/fd"):
            descriptors += 1
            sockets += _link(f"/proc/{pid}/fd/{name}").startswith("socket:")
    return OpenFiles(descriptors, sockets, _soft_limit(pids[0]) if pids else None)


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _soft_limit(pid: int) -> int | None:
    match = _OPEN_FILES.search(files.read(f"/proc/{pid}", "limits") or "")
    return int(match[1]) if match else None
