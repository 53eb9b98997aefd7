"""The metrics that the kubelet passes on."""

from __future__ import annotations

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.stats import metric_set
from cri_shim.stats.details import Details, OpenFiles, details_of
from cri_shim.stats.group import SplitGroup, UnifiedGroup
from cri_shim.stats.metric_set import DESCRIPTORS, Disk
from cri_shim.stats.network import Interface, Traffic
from cri_shim.stats.sample import Sample
from tests.stats import made

DESCRIBED = {descriptor.name: descriptor for descriptor in DESCRIPTORS}
INTERFACE = Interface("eth0", Traffic(1, 2, 3, 4), Traffic(5, 6, 7, 8))
RESOURCES = cri.LinuxContainerResources(cpu_quota=5, cpu_shares=6, memory_limit_in_bytes=7, unified={"memory.min": "8"})

# Names, types and labels (beyond the base ones) as cAdvisor has them, those that the kubelet serves; what it leaves out
# by default is left out here, too. COUNTER is c, GAUGE g.
TABLE = """
container_blkio_device_usage_total                   c device major minor operation
container_cpu_cfs_periods_total                      c
container_cpu_cfs_throttled_periods_total            c
container_cpu_cfs_throttled_seconds_total            c
container_cpu_system_seconds_total                   c
container_cpu_usage_seconds_total                    c cpu
container_cpu_user_seconds_total                     c
container_file_descriptors                           g
container_fs_inodes_free                             g device
container_fs_inodes_total                            g device
container_fs_limit_bytes                             g device
container_fs_reads_bytes_total                       c device
container_fs_reads_total                             c device
container_fs_usage_bytes                             g device
container_fs_writes_bytes_total                      c device
container_fs_writes_total                            c device
container_hugetlb_max_usage_bytes                    g pagesize
container_hugetlb_usage_bytes                        g pagesize
container_last_seen                                  g
container_memory_cache                               g
container_memory_failcnt                             c
container_memory_failures_total                      c failure_type scope
container_memory_kernel_usage                        g
container_memory_mapped_file                         g
container_memory_max_usage_bytes                     g
container_memory_rss                                 g
container_memory_swap                                g
container_memory_total_active_file_bytes             g
container_memory_total_inactive_file_bytes           g
container_memory_usage_bytes                         g
container_memory_working_set_bytes                   g
container_network_receive_bytes_total                c interface
container_network_receive_errors_total               c interface
container_network_receive_packets_dropped_total      c interface
container_network_receive_packets_total              c interface
container_network_transmit_bytes_total               c interface
container_network_transmit_errors_total              c interface
container_network_transmit_packets_dropped_total     c interface
container_network_transmit_packets_total             c interface
container_oom_events_total                           c
container_pressure_cpu_stalled_seconds_total         c
container_pressure_cpu_waiting_seconds_total         c
container_pressure_io_stalled_seconds_total          c
container_pressure_io_waiting_seconds_total          c
container_pressure_memory_stalled_seconds_total      c
container_pressure_memory_waiting_seconds_total      c
container_processes                                  g
container_sockets                                    g
container_spec_cpu_period                            g
container_spec_cpu_quota                             g
container_spec_cpu_shares                            g
container_spec_memory_limit_bytes                    g
container_spec_memory_reservation_limit_bytes        g
container_spec_memory_swap_limit_bytes               g
container_start_time_seconds                         g
container_threads                                    g
container_threads_max                                g
container_ulimits_soft                               g ulimit
"""
EXPECTED = {line.split()[0]: tuple(line.split()[1:]) for line in TABLE.splitlines() if line}
CADVISOR = set(EXPECTED)


def everything(group):
    return [
        *metric_set.usage(group.sample(), details_of(group)),
        *metric_set.network((INTERFACE,)),
        *metric_set.processes(OpenFiles(3, 1, 1024)),
        *metric_set.disk(Disk(1, 2, 3, 4)),
        *metric_set.spec(RESOURCES, 5 * 10**9),
    ]


@pytest.fixture(params=["unified", "split"])
def values(request, tmp_path):
    if request.param == "unified":
        made.write(tmp_path, made.UNIFIED)
        return everything(UnifiedGroup("/", str(tmp_path)))
    made.write(tmp_path, made.SPLIT)
    made.write(tmp_path / "corner", {f"{name}.pressure": made.PRESSURE for name in ("cpu", "memory", "io")})
    directories = {path.name: str(path) for path in tmp_path.iterdir()}
    return everything(SplitGroup("/", {**directories, "": directories["corner"]}))


def test_the_names_are_cadvisors_and_each_has_a_help():
    assert set(DESCRIBED) == CADVISOR
    assert len(DESCRIPTORS) == len(CADVISOR)
    assert all(descriptor.help for descriptor in DESCRIPTORS)


def test_each_has_the_type_and_the_labels_of_cadvisors():
    letters = {metric_set.COUNTER: "c", metric_set.GAUGE: "g"}
    assert {name: (letters[one.type], *one.keys) for name, one in DESCRIBED.items()} == EXPECTED
    assert metric_set.BASE_KEYS == ("pod", "namespace", "container", "id", "image")


def test_labels_have_the_values_of_cadvisors(values):
    told = {}
    for name, _, labels in values:
        for key, value in zip(DESCRIBED[name].keys, labels, strict=True):
            told.setdefault(key, set()).add(value)
    assert told == {
        "cpu": {"total"},
        "device": {"/", "8:0"},
        "failure_type": {"pgfault", "pgmajfault"},
        "interface": {"eth0"},
        "major": {"8"},
        "minor": {"0"},
        "operation": told["operation"],
        "pagesize": {"2MB"},
        "scope": {"container", "hierarchy"},
        "ulimit": {"max_open_files"},
    }
    assert {"Read", "Write"} <= told["operation"] <= {"Read", "Write", "Sync"}


def test_every_metric_is_there_with_as_many_labels_as_are_described(values):
    assert {name for name, _, _ in values} == CADVISOR
    for name, number, labels in values:
        assert len(labels) == len(DESCRIBED[name].keys), name
        assert 0 <= number < 2**64


def test_no_metric_is_there_twice(values):
    told = [(name, labels) for name, _, labels in values]
    assert len(told) == len(set(told))


def test_values(values):
    found = {(name, labels): number for name, number, labels in values}
    assert found["container_memory_working_set_bytes", ()] == 15 << 20
    assert found["container_memory_failures_total", ("pgmajfault", "container")] == 21
    assert found["container_oom_events_total", ()] == 2
    assert found["container_fs_writes_bytes_total", ("8:0",)] == 8192
    assert found["container_blkio_device_usage_total", ("8:0", "8", "0", "Read")] == 4096
    assert found["container_pressure_io_waiting_seconds_total", ()] == 157
    assert found["container_network_transmit_packets_dropped_total", ("eth0",)] == 8
    assert found["container_start_time_seconds", ()] == 5
    assert found["container_spec_memory_reservation_limit_bytes", ()] == 8
    assert found["container_ulimits_soft", ("max_open_files",)] == 1024


def test_what_is_not_accounted_for_is_left_out():
    told = {name for name, _, _ in metric_set.usage(Sample(at=10**9), Details())}
    assert told == {"container_processes", "container_threads", "container_threads_max", "container_last_seen"}


def test_a_quota_is_told_only_where_there_is_one():
    assert "container_spec_cpu_quota" not in {name for name, _, _ in metric_set.spec(None, 0)}
