"""Whether the kernel killed a container for its memory."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import structlog

from cri_shim.api.cgroups.cgroup1.stats import metrics_pb2 as v1
from cri_shim.api.cgroups.cgroup2.stats import metrics_pb2 as v2
from cri_shim.containerd import typeurl
from cri_shim.errors import CriError
from cri_shim.state.container import REASON_OOM_KILLED

if TYPE_CHECKING:
    from cri_shim.api.containerd.types import metrics_pb2
    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container

log = structlog.get_logger(__name__)

_KILLED = 128 + signal.SIGKILL


async def was_oom_killed(parts: Parts, container: Container, exit_status: int) -> bool:
    """Whether the exit was the OOM killer's doing: by its event, or, the event being late, by the cgroup's counter.

    Asked before the task is deleted, while the cgroup is still there.
    """
    if container.status.reason == REASON_OOM_KILLED:
        return True
    if exit_status != _KILLED:
        return False
    try:
        metrics = await parts.containerd.tasks.metrics(f"id=={container.id}")
    except CriError as error:
        log.info("memory events of an ended container can't be read", container_id=container.id, error=str(error))
        return False
    return any(oom_kills(metric) for metric in metrics)


def oom_kills(metric: metrics_pb2.Metric) -> int:
    """How many processes of the cgroup the OOM killer ended."""
    if typeurl.is_a(metric.data, v2.Metrics):
        return typeurl.unpack(metric.data, v2.Metrics).memory_events.oom_kill
    if typeurl.is_a(metric.data, v1.Metrics):
        return typeurl.unpack(metric.data, v1.Metrics).memory_oom_control.oom_kill
    return 0
