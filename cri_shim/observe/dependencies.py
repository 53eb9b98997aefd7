"""Prometheus metrics of what a call waits for: containerd, network plugins, events, queues.

Children are kept by what is called, so that a call pays for two numbers and no more.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

from grpclib.const import Status
from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

_CALL_SECONDS = Histogram(
    "cri_shim_containerd_call_duration_seconds",
    "How long calls to containerd took; not those that wait for something to happen.",
    ["service", "method"],
    buckets=_BUCKETS,
)
_CALLS = Counter("cri_shim_containerd_calls", "Calls to containerd by their status.", ["service", "method", "code"])

_PLUGIN_SECONDS = Histogram(
    "cri_shim_cni_plugin_duration_seconds", "How long CNI plugins ran.", ["plugin", "verb"], buckets=_BUCKETS
)
_PLUGIN_RUNS = Counter(
    "cri_shim_cni_plugin_runs", "Runs of CNI plugins by their outcome.", ["plugin", "verb", "result"]
)

_EVENT_LAG = Histogram(
    "cri_shim_event_lag_seconds",
    "Time from what happened to its having been dealt with: an exit, the OOM killer, an image that changed.",
    ["event"],
    buckets=_BUCKETS,
)

_QUEUE_DEPTH = Gauge("cri_shim_queue_depth", "What waits in a queue now.", ["queue"])
EVENT_SUBSCRIBERS = Gauge("cri_shim_event_subscribers", "Who listens to container events.")
LOG_LINES_LOST = Counter("cri_shim_log_lines_lost", "Lines that no disk would take.")


class ContainerdCall:
    """One call of one method, for as long as the block lasts; `timed` but for those that wait."""

    _methods: Final[dict[str, tuple[Histogram, dict[str, Counter]]]] = {}

    __slots__ = ("_begin", "_method", "_timed")

    def __init__(self, method: str, *, timed: bool) -> None:
        self._method, self._timed = method, timed

    def __enter__(self) -> Self:
        self._begin = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        known = self._methods.get(self._method)
        service, _, name = self._method.removeprefix("/").partition("/")
        if known is None:
            known = self._methods[self._method] = _CALL_SECONDS.labels(service, name), {}
        seconds, calls = known
        code = _code(error)
        if (count := calls.get(code)) is None:
            count = calls[code] = _CALLS.labels(service, name, code)
        count.inc()
        if self._timed:
            seconds.observe(time.perf_counter() - self._begin)


def _code(error: BaseException | None) -> str:
    """The status that a call ended with; one that its caller gave up is CANCELLED."""
    if error is None:
        return Status.OK.name
    code = getattr(error, "code", None)
    return code.name if isinstance(code, Status) else Status.CANCELLED.name


class PluginRun:
    """One run of a CNI plugin, for as long as the block lasts. Both labels come from the node's own configuration."""

    def __init__(self, plugin: str, verb: str) -> None:
        self._labels = plugin, verb

    def __enter__(self) -> Self:
        self._begin = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _PLUGIN_SECONDS.labels(*self._labels).observe(time.perf_counter() - self._begin)
        _PLUGIN_RUNS.labels(*self._labels, "success" if error is None else "failure").inc()


def event_handled(event: str, at: int) -> None:
    """What happened `at` (nanoseconds since the epoch) has been dealt with."""
    _EVENT_LAG.labels(event).observe(max(0.0, (time.time_ns() - at) / 1e9))


def watch_queue(name: str, depth: Callable[[], float]) -> None:
    """Have `depth` tell, whenever somebody asks, how many wait in the queue `name`. Called in another thread."""
    _QUEUE_DEPTH.labels(name).set_function(depth)
