"""The metrics that the kubelet passes on at /metrics/cadvisor: names, label keys, help, and where each value is from.

The kubelet registers what ListMetricDescriptors says and takes label values by position; a metric with another number
of values is dropped there. Base keys are those of containerd's plugin, in its order; the names are cAdvisor's. Values
are whole numbers, seconds too: the CRI has no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cri_shim.api.runtime import v1 as cri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cri_shim.stats.details import Details, OpenFiles
    from cri_shim.stats.network import Interface
    from cri_shim.stats.sample import Pressure, Sample

SECOND = 1_000_000_000
BASE_KEYS = ("pod", "namespace", "container", "id", "image")
COUNTER, GAUGE = cri.MetricType.COUNTER, cri.MetricType.GAUGE

Value: TypeAlias = tuple[str, int, tuple[str, ...]]
"""A metric's name, its value, and the values of the labels that it has beyond the base ones."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One metric of the set; `keys` are its labels beyond the base ones."""

    name: str
    type: cri.MetricType
    help: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Disk:
    """A writable layer, and the file system that it is on."""

    usage: int
    limit: int
    inodes: int
    inodes_free: int


_DEVICE, _INTERFACE = ("device",), ("interface",)

DESCRIPTORS = (
    Descriptor("container_cpu_user_seconds_total", COUNTER, "CPU time in user mode, in seconds."),
    Descriptor("container_cpu_system_seconds_total", COUNTER, "CPU time in the kernel, in seconds."),
    Descriptor("container_cpu_usage_seconds_total", COUNTER, "CPU time, in seconds.", ("cpu",)),
    Descriptor("container_cpu_cfs_periods_total", COUNTER, "CPU periods that were enforced."),
    Descriptor("container_cpu_cfs_throttled_periods_total", COUNTER, "CPU periods in which it was throttled."),
    Descriptor("container_cpu_cfs_throttled_seconds_total", COUNTER, "Time for which it was throttled, in seconds."),
    Descriptor("container_memory_cache", GAUGE, "Page cache, in bytes."),
    Descriptor("container_memory_rss", GAUGE, "Anonymous memory, in bytes."),
    Descriptor("container_memory_kernel_usage", GAUGE, "Memory of the kernel for it, in bytes."),
    Descriptor("container_memory_mapped_file", GAUGE, "Mapped files, in bytes."),
    Descriptor("container_memory_swap", GAUGE, "Swap in use, in bytes."),
    Descriptor("container_memory_failcnt", COUNTER, "How often the memory limit was hit."),
    Descriptor("container_memory_usage_bytes", GAUGE, "Memory in use, page cache included, in bytes."),
    Descriptor("container_memory_max_usage_bytes", GAUGE, "The most memory that was in use, in bytes."),
    Descriptor("container_memory_working_set_bytes", GAUGE, "Memory that can't be reclaimed at once, in bytes."),
    Descriptor("container_memory_total_active_file_bytes", GAUGE, "Page cache used lately, in bytes."),
    Descriptor("container_memory_total_inactive_file_bytes", GAUGE, "Page cache not used lately, in bytes."),
    Descriptor("container_memory_failures_total", COUNTER, "Page faults.", ("failure_type", "scope")),
    Descriptor("container_oom_events_total", COUNTER, "Processes killed for want of memory."),
    Descriptor("container_network_receive_bytes_total", COUNTER, "Bytes received.", _INTERFACE),
    Descriptor("container_network_receive_packets_total", COUNTER, "Packets received.", _INTERFACE),
    Descriptor("container_network_receive_packets_dropped_total", COUNTER, "Received packets dropped.", _INTERFACE),
    Descriptor("container_network_receive_errors_total", COUNTER, "Errors in receiving.", _INTERFACE),
    Descriptor("container_network_transmit_bytes_total", COUNTER, "Bytes sent.", _INTERFACE),
    Descriptor("container_network_transmit_packets_total", COUNTER, "Packets sent.", _INTERFACE),
    Descriptor("container_network_transmit_packets_dropped_total", COUNTER, "Packets to send dropped.", _INTERFACE),
    Descriptor("container_network_transmit_errors_total", COUNTER, "Errors in sending.", _INTERFACE),
    Descriptor("container_fs_inodes_free", GAUGE, "Free inodes of the file system.", _DEVICE),
    Descriptor("container_fs_inodes_total", GAUGE, "Inodes of the file system.", _DEVICE),
    Descriptor("container_fs_limit_bytes", GAUGE, "Size of the file system, in bytes.", _DEVICE),
    Descriptor("container_fs_usage_bytes", GAUGE, "Size of the writable layer, in bytes.", _DEVICE),
    Descriptor("container_fs_reads_bytes_total", COUNTER, "Bytes read.", _DEVICE),
    Descriptor("container_fs_reads_total", COUNTER, "Reads completed.", _DEVICE),
    Descriptor("container_fs_writes_bytes_total", COUNTER, "Bytes written.", _DEVICE),
    Descriptor("container_fs_writes_total", COUNTER, "Writes completed.", _DEVICE),
    Descriptor(
        "container_blkio_device_usage_total",
        COUNTER,
        "Bytes moved to and from a block device.",
        ("device", "major", "minor", "operation"),
    ),
    Descriptor("container_hugetlb_usage_bytes", GAUGE, "Huge pages in use, in bytes.", ("pagesize",)),
    Descriptor("container_hugetlb_max_usage_bytes", GAUGE, "The most huge pages in use, in bytes.", ("pagesize",)),
    Descriptor("container_processes", GAUGE, "Processes."),
    Descriptor("container_threads", GAUGE, "Threads."),
    Descriptor("container_threads_max", GAUGE, "Threads that it may have; 0 for no limit."),
    Descriptor("container_file_descriptors", GAUGE, "Open file descriptors."),
    Descriptor("container_sockets", GAUGE, "Open sockets."),
    Descriptor("container_ulimits_soft", GAUGE, "Soft limits of its first process.", ("ulimit",)),
    Descriptor("container_pressure_cpu_stalled_seconds_total", COUNTER, "Time that all waited for a CPU."),
    Descriptor("container_pressure_cpu_waiting_seconds_total", COUNTER, "Time that some waited for a CPU."),
    Descriptor("container_pressure_memory_stalled_seconds_total", COUNTER, "Time that all waited for memory."),
    Descriptor("container_pressure_memory_waiting_seconds_total", COUNTER, "Time that some waited for memory."),
    Descriptor("container_pressure_io_stalled_seconds_total", COUNTER, "Time that all waited for I/O."),
    Descriptor("container_pressure_io_waiting_seconds_total", COUNTER, "Time that some waited for I/O."),
    Descriptor("container_last_seen", GAUGE, "When it was seen last, in seconds since the epoch."),
    Descriptor("container_start_time_seconds", GAUGE, "When it was started, in seconds since the epoch."),
    Descriptor("container_spec_cpu_period", GAUGE, "CPU period, in microseconds."),
    Descriptor("container_spec_cpu_quota", GAUGE, "CPU time in a period, in microseconds."),
    Descriptor("container_spec_cpu_shares", GAUGE, "CPU shares."),
    Descriptor("container_spec_memory_limit_bytes", GAUGE, "Memory limit, in bytes; 0 for none."),
    Descriptor("container_spec_memory_reservation_limit_bytes", GAUGE, "Memory reservation, in bytes; 0 for none."),
    Descriptor("container_spec_memory_swap_limit_bytes", GAUGE, "Limit of memory and swap, in bytes; 0 for none."),
)


def usage(sample: Sample, details: Details) -> Iterator[Value]:
    """What a container's or pod's cgroup tells."""
    yield from _cpu(sample, details)
    yield from _memory(sample, details)
    yield from _io(details)
    for kind, pressure in _pressures(sample):
        for name, stall in (("stalled", pressure.full), ("waiting", pressure.some)):
            if stall is not None:
                yield f"container_pressure_{kind}_{name}_seconds_total", stall.total // SECOND, ()
    yield "container_processes", len(details.pids), ()
    yield "container_threads", sample.processes or 0, ()
    yield "container_threads_max", details.threads_limit, ()
    yield "container_last_seen", sample.at // SECOND, ()


def _cpu(sample: Sample, details: Details) -> Iterator[Value]:
    if sample.cpu is None:
        return
    yield "container_cpu_usage_seconds_total", sample.cpu.usage // SECOND, ("total",)
    yield "container_cpu_user_seconds_total", details.user // SECOND, ()
    yield "container_cpu_system_seconds_total", details.system // SECOND, ()
    yield "container_cpu_cfs_periods_total", details.periods, ()
    yield "container_cpu_cfs_throttled_periods_total", details.throttled_periods, ()
    yield "container_cpu_cfs_throttled_seconds_total", details.throttled // SECOND, ()


def _memory(sample: Sample, details: Details) -> Iterator[Value]:
    memory = sample.memory
    if memory is None:
        return
    yield "container_memory_cache", details.cache, ()
    yield "container_memory_rss", memory.rss, ()
    yield "container_memory_kernel_usage", details.kernel, ()
    yield "container_memory_mapped_file", details.mapped_file, ()
    yield "container_memory_swap", sample.swap.usage if sample.swap else 0, ()
    yield "container_memory_failcnt", details.fail_count, ()
    yield "container_memory_usage_bytes", memory.usage, ()
    yield "container_memory_max_usage_bytes", max(details.most_memory, memory.usage), ()
    yield "container_memory_working_set_bytes", memory.working_set, ()
    yield "container_memory_total_active_file_bytes", details.active_file, ()
    yield "container_memory_total_inactive_file_bytes", memory.inactive_file, ()
    for scope in ("container", "hierarchy"):  # what is below a container's cgroup is the container's
        yield "container_memory_failures_total", memory.page_faults, ("pgfault", scope)
        yield "container_memory_failures_total", memory.major_page_faults, ("pgmajfault", scope)
    yield "container_oom_events_total", details.oom_kills, ()
    for pages in details.hugepages:
        yield "container_hugetlb_usage_bytes", pages.usage, (pages.size,)
        yield "container_hugetlb_max_usage_bytes", pages.most, (pages.size,)


def _io(details: Details) -> Iterator[Value]:
    for device in details.io:
        number = f"{device.major}:{device.minor}"
        for operation, name in (("Read", "reads"), ("Write", "writes")):
            yield f"container_fs_{name}_bytes_total", device.bytes.get(operation, 0), (number,)
            yield f"container_fs_{name}_total", device.requests.get(operation, 0), (number,)
        for operation, moved in device.bytes.items():
            labels = (number, str(device.major), str(device.minor), operation)
            yield "container_blkio_device_usage_total", moved, labels


def _pressures(sample: Sample) -> Iterator[tuple[str, Pressure]]:
    if sample.cpu is not None and sample.cpu.pressure is not None:
        yield "cpu", sample.cpu.pressure
    if sample.memory is not None and sample.memory.pressure is not None:
        yield "memory", sample.memory.pressure
    if sample.io_pressure is not None:
        yield "io", sample.io_pressure


def network(interfaces: tuple[Interface, ...]) -> Iterator[Value]:
    """What has gone over a pod's interfaces."""
    for interface in interfaces:
        name = (interface.name,)
        for direction, traffic in (("receive", interface.received), ("transmit", interface.sent)):
            yield f"container_network_{direction}_bytes_total", traffic.bytes, name
            yield f"container_network_{direction}_packets_total", traffic.packets, name
            yield f"container_network_{direction}_packets_dropped_total", traffic.dropped, name
            yield f"container_network_{direction}_errors_total", traffic.errors, name


def processes(found: OpenFiles) -> Iterator[Value]:
    """What a container's processes have open."""
    yield "container_file_descriptors", found.descriptors, ()
    yield "container_sockets", found.sockets, ()
    if found.limit is not None:
        yield "container_ulimits_soft", found.limit, ("max_open_files",)


def disk(found: Disk) -> Iterator[Value]:
    """A container's writable layer, which is all of its root file system that it can fill."""
    yield "container_fs_inodes_free", found.inodes_free, ("/",)
    yield "container_fs_inodes_total", found.inodes, ("/",)
    yield "container_fs_limit_bytes", found.limit, ("/",)
    yield "container_fs_usage_bytes", found.usage, ("/",)


def spec(resources: cri.LinuxContainerResources | None, started_at: int) -> Iterator[Value]:
    """What a container was asked for with; its resources as they are in force now."""
    wanted = resources or cri.LinuxContainerResources()
    yield "container_start_time_seconds", started_at // SECOND, ()
    yield "container_spec_cpu_period", wanted.cpu_period, ()
    if wanted.cpu_quota > 0:
        yield "container_spec_cpu_quota", wanted.cpu_quota, ()
    yield "container_spec_cpu_shares", wanted.cpu_shares, ()
    yield "container_spec_memory_limit_bytes", max(wanted.memory_limit_in_bytes, 0), ()
    yield "container_spec_memory_reservation_limit_bytes", _reservation(wanted), ()
    yield "container_spec_memory_swap_limit_bytes", max(wanted.memory_swap_limit_in_bytes, 0), ()


def _reservation(wanted: cri.LinuxContainerResources) -> int:
    value = wanted.unified.get("memory.min", "")
    return int(value) if value.isascii() and value.isdecimal() else 0
