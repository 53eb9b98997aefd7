"""What a cgroup had used at a moment, the same for every kernel interface. Times are nanoseconds, sizes bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stall:
    """How long tasks were held up in all, and the share of the last 10, 60 and 300 s, in percent."""

    total: int
    avg10: float
    avg60: float
    avg300: float


@dataclass(frozen=True, slots=True)
class Pressure:
    """Stalls of some tasks, and of all at once (Documentation/accounting/psi.rst)."""

    some: Stall | None
    full: Stall | None


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU time used in all."""

    usage: int
    pressure: Pressure | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory in use; `limit` is None where there is none."""

    usage: int
    limit: int | None
    inactive_file: int
    rss: int
    page_faults: int
    major_page_faults: int
    pressure: Pressure | None = None

    @property
    def working_set(self) -> int:
        """What can't be reclaimed at once."""
        return max(self.usage - self.inactive_file, 0)

    @property
    def available(self) -> int:
        """What is left below the limit; 0 without one, as containerd tells it."""
        return 0 if self.limit is None else max(self.limit - self.working_set, 0)


@dataclass(frozen=True, slots=True)
class Swap:
    """Swap in use; `limit` is None where there is none."""

    usage: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a cgroup, `at` nanoseconds since the epoch. What the kernel doesn't account for is None."""

    at: int
    cpu: Cpu | None = None
    memory: Memory | None = None
    swap: Swap | None = None
    io_pressure: Pressure | None = None
    processes: int | None = None


def nano_cores(before: Sample, after: Sample) -> int | None:
    """CPU time used between two samples, in nanoseconds a second; None where one lacks it or time stood still."""
    passed = after.at - before.at
    if before.cpu is None or after.cpu is None or passed <= 0:
        return None
    return max(after.cpu.usage - before.cpu.usage, 0) * 1_000_000_000 // passed


def total(at: int, samples: list[Sample]) -> Sample:
    """The sum of what `samples` tell, without pressures, which don't add up; limits add up if all have one."""
    cpus = [sample.cpu for sample in samples if sample.cpu is not None]
    memories = [sample.memory for sample in samples if sample.memory is not None]
    return Sample(
        at=at,
        cpu=Cpu(sum(cpu.usage for cpu in cpus)) if cpus else None,
        memory=_total_memory(memories) if memories else None,
        processes=sum(sample.processes or 0 for sample in samples),
    )


def _total_memory(parts: list[Memory]) -> Memory:
    limits = [part.limit for part in parts if part.limit is not None]
    return Memory(
        usage=sum(part.usage for part in parts),
        limit=sum(limits) if len(limits) == len(parts) else None,
        inactive_file=sum(part.inactive_file for part in parts),
        rss=sum(part.rss for part in parts),
        page_faults=sum(part.page_faults for part in parts),
        major_page_faults=sum(part.major_page_faults for part in parts),
    )
