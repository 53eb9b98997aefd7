"""containerd's task metrics as samples."""

from __future__ import annotations

import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.timestamp_pb2 import Timestamp

from cri_shim.api.cgroups.cgroup1.stats import metrics_pb2 as v1
from cri_shim.api.cgroups.cgroup2.stats import metrics_pb2 as v2
from cri_shim.api.containerd.types.metrics_pb2 import Metric
from cri_shim.containerd import typeurl
from cri_shim.errors import DataLoss
from cri_shim.stats.sample import Pressure, Stall
from cri_shim.stats.task_metrics import sample_of

AT = Timestamp(seconds=3, nanos=7)


def metric(data):
    return Metric(id="one", timestamp=AT, data=typeurl.pack(data))


def test_of_cgroup_v2():
    metrics = v2.Metrics(
        pids=v2.PidsStat(current=5),
        cpu=v2.CPUStat(usage_usec=12, psi=v2.PSIStats(some=v2.PSIData(total=3, avg10=1.5), full=v2.PSIData())),
        memory=v2.MemoryStat(
            usage=100, usage_limit=2**64 - 1, inactive_file=30, anon=40, pgfault=5, pgmajfault=6, swap_usage=7
        ),
    )
    sample = sample_of(metric(metrics))
    assert (sample.at, sample.cpu.usage, sample.processes) == (3_000_000_007, 12_000, 5)
    assert sample.cpu.pressure == Pressure(some=Stall(3000, 1.5, 0, 0), full=Stall(0, 0, 0, 0))
    assert (sample.memory.working_set, sample.memory.limit, sample.memory.pressure) == (70, None, None)
    assert (sample.swap.usage, sample.io_pressure) == (7, None)


def test_of_cgroup_v1():
    metrics = v1.Metrics(
        cpu=v1.CPUStat(usage=v1.CPUUsage(total=12)),
        memory=v1.MemoryStat(
            usage=v1.MemoryEntry(usage=100, limit=1000),
            total_inactive_file=30,
            total_rss=40,
            total_pg_fault=5,
            total_pg_maj_fault=6,
        ),
    )
    sample = sample_of(metric(metrics))
    assert (sample.cpu.usage, sample.processes) == (12, None)
    assert (sample.memory.working_set, sample.memory.available, sample.memory.rss) == (70, 930, 40)
    assert (sample.memory.page_faults, sample.memory.major_page_faults) == (5, 6)


def test_of_a_kind_that_nobody_knows():
    with pytest.raises(DataLoss, match=r"of one tells its metrics as 'x\.Y'"):
        sample_of(Metric(id="one", data=Any(type_url="x.Y")))
