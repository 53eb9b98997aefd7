"""Prometheus metrics by the names that containerd gives its CRI plugin's: dashboards and alerts go on working.

Timers are of what succeeded alone, in Go's default buckets; `runtime` is the runtime's type. The doubled endings are
containerd's. Sources: containerd `internal/cri/server/metrics.go`, `images/metrics.go`, `io/metrics.go`.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from cri_shim.errors import CriError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.core import Metric

_GO: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_CRI: Final = "containerd_cri_"


class Timer:
    """How long one thing takes when it succeeds, perhaps by runtime."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        self._seconds = Histogram(f"{_CRI}{name}_seconds", text, labels, buckets=_GO)

    @contextmanager
    def success(self, *values: str) -> Iterator[None]:
        """Time the block, unless it fails."""
        begin = time.perf_counter()
        yield
        self.observe(time.perf_counter() - begin, *values)

    def observe(self, seconds: float, *values: str) -> None:
        """It took so many seconds."""
        (self._seconds.labels(*values) if values else self._seconds).observe(seconds)


SANDBOX_CREATE_NETWORK = Timer("sandbox_create_network", "Time to make a pod's network.")
SANDBOX_DELETE_NETWORK = Timer("sandbox_delete_network", "Time to take a pod's network down.")
SANDBOX_RUNTIME_CREATE = Timer("sandbox_runtime_create", "Time to make and start a sandbox container.", "runtime")
SANDBOX_RUNTIME_STOP = Timer("sandbox_runtime_stop", "Time to end a sandbox container.", "runtime")
SANDBOX_REMOVE = Timer("sandbox_remove", "Time to remove a sandbox.", "runtime")
CONTAINER_CREATE = Timer("container_create", "Time to create a container.", "runtime")
CONTAINER_START = Timer("container_start", "Time to start a container.", "runtime")
CONTAINER_STOP = Timer("container_stop", "Time to stop a container.", "runtime")
CONTAINER_REMOVE = Timer("container_remove", "Time to remove a container.", "runtime")
CONTAINER_CHECKPOINT = Timer("container_checkpoint", "Time to checkpoint a container.", "runtime")
OF_RPC: Final = {
    "ListPodSandbox": Timer("sandbox_list", "Time to list sandboxes."),
    "StreamPodSandboxes": Timer("stream_sandbox_list", "Time to stream sandboxes."),
    "ListContainers": Timer("container_list", "Time to list containers."),
    "StreamContainers": Timer("stream_container_list", "Time to stream containers."),
}
"""Those that time a whole call."""

EVENTS_DROPPED = Counter(f"{_CRI}container_events_dropped", "Container events that nobody had subscribed to in time.")

PULLS = Counter(f"{_CRI}sandboxed_image_pulls", "Pulls of images by their outcome.", ["status"])
PULLS_UNDER_WAY = Gauge(f"{_CRI}sandboxed_in_progress_image_pulls_total", "Pulls under way.")
PULL_THROUGHPUT = Histogram(
    f"{_CRI}sandboxed_image_pulling_throughput_mibps",
    "MiB a second of pulls that fetched something, unpacking included.",
    buckets=(0.1, 1, 10, 25, 75, 150, 300, 500, 1000, 2000, 4000),
)

_NETWORK = Counter(f"{_CRI}network_plugin_operations_total_total", "Network operations.", ["operation_type"])
_NETWORK_ERRORS = Counter(
    f"{_CRI}network_plugin_operations_errors_total_total", "Network operations that failed.", ["operation_type"]
)
_NETWORK_SECONDS = Timer("network_plugin_operations_duration_seconds", "Time of network operations.", "operation_type")
SET_UP_POD, TEAR_DOWN_POD, STATUS = "set_up_pod", "tear_down_pod", "get_pod_network_status"  # the kubelet's own, once


@contextmanager
def network_operation(kind: str) -> Iterator[None]:
    """Count and time the block as a network operation."""
    _NETWORK.labels(kind).inc()
    try:
        with _NETWORK_SECONDS.success(kind):
            yield
    except CriError:
        _NETWORK_ERRORS.labels(kind).inc()
        raise


class LogVolume(Collector):
    """What containers said, and what of it was written. Plain numbers: one thread counts, for each buffer."""

    def __init__(self) -> None:
        self.input_entries = self.input_bytes = 0
        self.output_entries = self.output_bytes = 0
        self.split_entries = 0
        self.waiting = 0  # bytes for a disk that refuses them

    def collect(self) -> Iterable[Metric]:
        """As Prometheus's library asks for them."""
        for name, text in (
            ("input_entries", "Lines that containers said."),
            ("output_entries", "Records written to logs."),
            ("input_bytes", "Bytes that containers said."),
            ("output_bytes", "Bytes written to logs."),
            ("split_entries", "Records beyond the first of lines that were too long for one."),
        ):
            yield CounterMetricFamily(_CRI + name, text, value=getattr(self, name))
        yield GaugeMetricFamily("cri_shim_log_waiting_bytes", "Records that wait for a disk.", value=self.waiting)


LOG_VOLUME: Final = LogVolume()
REGISTRY.register(LOG_VOLUME)
