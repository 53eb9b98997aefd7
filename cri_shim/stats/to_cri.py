"""Samples as the CRI's messages. A time is nanoseconds since the epoch; what is not accounted for is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.stats.network import default_interface

if TYPE_CHECKING:
    from cri_shim.stats.collector import Reading
    from cri_shim.stats.network import Interface
    from cri_shim.stats.sample import Pressure, Sample, Stall


def cpu(reading: Reading) -> cri.CpuUsage | None:
    """CPU time in all, and the rate where there were two looks."""
    used = reading.sample.cpu
    if used is None:
        return None
    return cri.CpuUsage(
        timestamp=reading.sample.at,
        usage_core_nano_seconds=_number(used.usage),
        usage_nano_cores=None if reading.nano_cores is None else _number(reading.nano_cores),
        psi=_pressure(used.pressure),
    )


def memory(sample: Sample) -> cri.MemoryUsage | None:
    """Memory, by the names that the kubelet knows."""
    used = sample.memory
    if used is None:
        return None
    return cri.MemoryUsage(
        timestamp=sample.at,
        working_set_bytes=_number(used.working_set),
        available_bytes=_number(used.available),
        usage_bytes=_number(used.usage),
        rss_bytes=_number(used.rss),
        page_faults=_number(used.page_faults),
        major_page_faults=_number(used.major_page_faults),
        psi=_pressure(used.pressure),
    )


def swap(sample: Sample) -> cri.SwapUsage | None:
    """Swap; what is available only below a limit. containerd's plugin leaves it out."""
    used = sample.swap
    if used is None:
        return None
    left = None if used.limit is None else _number(max(used.limit - used.usage, 0))
    return cri.SwapUsage(timestamp=sample.at, swap_available_bytes=left, swap_usage_bytes=_number(used.usage))


def io(sample: Sample) -> cri.IoUsage | None:
    """How long tasks waited for their I/O."""
    if sample.io_pressure is None:
        return None
    return cri.IoUsage(timestamp=sample.at, psi=_pressure(sample.io_pressure))


def network(reading: Reading) -> cri.NetworkUsage | None:
    """A pod's interfaces; None for a pod on the node's network."""
    found = reading.interfaces
    if found is None:
        return None
    default = default_interface(found)
    return cri.NetworkUsage(
        timestamp=reading.sample.at,
        default_interface=None if default is None else _interface(default),
        interfaces=[_interface(item) for item in found],
    )


def _interface(interface: Interface) -> cri.NetworkInterfaceUsage:
    return cri.NetworkInterfaceUsage(
        name=interface.name,
        rx_bytes=_number(interface.received.bytes),
        rx_errors=_number(interface.received.errors),
        tx_bytes=_number(interface.sent.bytes),
        tx_errors=_number(interface.sent.errors),
    )


def _pressure(pressure: Pressure | None) -> cri.PsiStats | None:
    if pressure is None:
        return None
    return cri.PsiStats(full=_stall(pressure.full), some=_stall(pressure.some))


def _stall(stall: Stall | None) -> cri.PsiData | None:
    if stall is None:
        return None
    return cri.PsiData(total=stall.total, avg_10=stall.avg10, avg_60=stall.avg60, avg_300=stall.avg300)


def _number(value: int) -> cri.UInt64Value:
    return cri.UInt64Value(value=value)
