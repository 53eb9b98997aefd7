"""containerd's task metrics, for runtimes whose containers' processes are not in cgroups of this node's (VMs, gVisor).

Source of the fields: containerd `internal/cri/server/container_stats_list.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.cgroups.cgroup1.stats import metrics_pb2 as v1
from cri_shim.api.cgroups.cgroup2.stats import metrics_pb2 as v2
from cri_shim.containerd import typeurl
from cri_shim.errors import DataLoss
from cri_shim.stats.cgroup_files import NO_LIMIT
from cri_shim.stats.group import MICROSECOND
from cri_shim.stats.sample import Cpu, Memory, Pressure, Sample, Stall, Swap

if TYPE_CHECKING:
    from cri_shim.api.containerd.types.metrics_pb2 import Metric


def sample_of(metric: Metric) -> Sample:
    """What a task's metric tells; DataLoss for one of an unknown kind."""
    at = metric.timestamp.ToNanoseconds()
    if typeurl.is_a(metric.data, v2.Metrics):
        return _of_v2(at, typeurl.unpack(metric.data, v2.Metrics))
    if typeurl.is_a(metric.data, v1.Metrics):
        return _of_v1(at, typeurl.unpack(metric.data, v1.Metrics))
    raise DataLoss(f"the runtime of {metric.id} tells its metrics as {metric.data.type_url!r}, which is not known here")


def _of_v2(at: int, metrics: v2.Metrics) -> Sample:
    cpu, memory = metrics.cpu, metrics.memory
    return Sample(
        at=at,
        cpu=Cpu(cpu.usage_usec * MICROSECOND, _pressure(cpu.psi) if cpu.HasField("psi") else None),
        memory=Memory(
            usage=memory.usage,
            limit=_limit(memory.usage_limit),
            inactive_file=memory.inactive_file,
            rss=memory.anon,
            page_faults=memory.pgfault,
            major_page_faults=memory.pgmajfault,
            pressure=_pressure(memory.psi) if memory.HasField("psi") else None,
        ),
        swap=Swap(memory.swap_usage, _limit(memory.swap_limit)),
        io_pressure=_pressure(metrics.io.psi) if metrics.io.HasField("psi") else None,
        processes=metrics.pids.current if metrics.HasField("pids") else None,
    )


def _of_v1(at: int, metrics: v1.Metrics) -> Sample:
    memory = metrics.memory
    return Sample(
        at=at,
        cpu=Cpu(metrics.cpu.usage.total),
        memory=Memory(
            usage=memory.usage.usage,
            limit=_limit(memory.usage.limit),
            inactive_file=memory.total_inactive_file,
            rss=memory.total_rss,
            page_faults=memory.total_pg_fault,
            major_page_faults=memory.total_pg_maj_fault,
        ),
        processes=metrics.pids.current if metrics.HasField("pids") else None,
    )


def _limit(value: int) -> int | None:
    return None if value > NO_LIMIT else value


def _pressure(psi: v2.PSIStats) -> Pressure:
    return Pressure(some=_stall(psi.some), full=_stall(psi.full))


def _stall(data: v2.PSIData) -> Stall:
    return Stall(data.total * MICROSECOND, data.avg10, data.avg60, data.avg300)
