"""A cgroup as its files tell it, in cgroup v1's several hierarchies or in v2's one.

Each way of reading fills the same values; the sources of the fields are those of containerd's cgroups library, so that
the numbers are the same ones. What is read is little, since it is read for every container, each second.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cri_shim.errors import NotFound
from cri_shim.stats import cgroup_files as files
from cri_shim.stats.sample import Cpu, Memory, Pressure, Sample, Swap

if TYPE_CHECKING:
    from collections.abc import Mapping

MICROSECOND = 1000


class Group(Protocol):
    """One cgroup. Looking at it blocks; NotFound is raised when it has gone, OSError when it can't be read."""

    @property
    def path(self) -> str:
        """The path in its hierarchy, as cAdvisor names containers."""

    def sample(self) -> Sample:
        """What it has used up to now."""


@dataclass(frozen=True, slots=True)
class UnifiedGroup:
    """A cgroup v2 at `directory`."""

    path: str
    directory: str

    def sample(self) -> Sample:
        """What it has used up to now."""
        at = time.time_ns()
        cpu = files.keyed(self.read("cpu.stat"))
        memory = self._memory()
        if "usage_usec" not in cpu and memory is None:
            raise NotFound(f"cgroup {self.directory} is gone")
        return Sample(
            at=at,
            cpu=Cpu(cpu["usage_usec"] * MICROSECOND, self._pressure("cpu")) if "usage_usec" in cpu else None,
            memory=memory,
            swap=self._swap(),
            io_pressure=self._pressure("io"),
            processes=files.number(self.read("pids.current")),
        )

    def read(self, name: str) -> str | None:
        """The content of one of its files."""
        return files.read(self.directory, name)

    def _pressure(self, resource: str) -> Pressure | None:
        return files.pressure(self.read(f"{resource}.pressure"))

    def _memory(self) -> Memory | None:
        usage = files.number(self.read("memory.current"))
        if usage is None:
            return None
        stat = files.keyed(self.read("memory.stat"))
        return Memory(
            usage=usage,
            limit=files.number(self.read("memory.max")),
            inactive_file=stat.get("inactive_file", 0),
            rss=stat.get("anon", 0),
            page_faults=stat.get("pgfault", 0),
            major_page_faults=stat.get("pgmajfault", 0),
            pressure=self._pressure("memory"),
        )

    def _swap(self) -> Swap | None:
        usage = files.number(self.read("memory.swap.current"))
        return None if usage is None else Swap(usage, files.number(self.read("memory.swap.max")))


@dataclass(frozen=True, slots=True)
class SplitGroup:
    """A cgroup v1: a directory for each controller, and v2's corner under "" where there is one, for pressures."""

    path: str
    directories: Mapping[str, str]

    def sample(self) -> Sample:
        """What it has used up to now."""
        at = time.time_ns()
        usage = files.number(self.read("cpuacct", "cpuacct.usage"))
        memory, swap = self._memory()
        if usage is None and memory is None:
            raise NotFound(f"cgroup {self.path} is gone")
        return Sample(
            at=at,
            cpu=Cpu(usage, self._pressure("cpu")) if usage is not None else None,
            memory=memory,
            swap=swap,
            io_pressure=self._pressure("io"),
            processes=files.number(self.read("pids", "pids.current")),
        )

    def read(self, controller: str, name: str) -> str | None:
        """The content of a file of one of its controllers."""
        directory = self.directories.get(controller)
        return None if directory is None else files.read(directory, name)

    def _pressure(self, resource: str) -> Pressure | None:
        return files.pressure(self.read("", f"{resource}.pressure"))

    def _memory(self) -> tuple[Memory | None, Swap | None]:
        usage = files.number(self.read("memory", "memory.usage_in_bytes"))
        if usage is None:
            return None, None
        stat = files.keyed(self.read("memory", "memory.stat"))
        limit = files.number(self.read("memory", "memory.limit_in_bytes"))
        memory = Memory(
            usage=usage,
            limit=limit,
            inactive_file=stat.get("total_inactive_file", 0),
            rss=stat.get("total_rss", 0),
            page_faults=stat.get("total_pgfault", 0),
            major_page_faults=stat.get("total_pgmajfault", 0),
            pressure=self._pressure("memory"),
        )
        if "total_swap" not in stat:  # the kernel was told not to account for swap
            return memory, None
        return memory, Swap(stat["total_swap"], _swap_limit(limit, stat))


def _swap_limit(memory_limit: int | None, stat: Mapping[str, int]) -> int | None:
    """What of v1's limit on memory and swap together is swap's; None where either has no limit."""
    both = stat.get("hierarchical_memsw_limit", files.NO_LIMIT + 1)
    if memory_limit is None or both > files.NO_LIMIT:
        return None
    return max(both - memory_limit, 0)
