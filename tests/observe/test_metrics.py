"""The metrics of CRI calls."""

from __future__ import annotations

from grpclib.const import Status
from prometheus_client import REGISTRY, generate_latest

from cri_shim.observe.metrics import RpcMetrics


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def test_a_call_is_under_way_until_it_has_ended():
    metrics = RpcMetrics("UnderWay")
    metrics.began()
    metrics.began()
    metrics.ended(Status.OK, 0.01)
    assert value("cri_shim_rpcs_under_way", rpc="UnderWay") == 1
    metrics.ended(Status.CANCELLED, 0.01)
    assert value("cri_shim_rpcs_under_way", rpc="UnderWay") == 0


def test_calls_are_counted_by_their_status():
    metrics = RpcMetrics("Counted")
    for status in (Status.OK, Status.OK, Status.NOT_FOUND):
        metrics.began()
        metrics.ended(status, 0.01)
    assert value("cri_shim_rpcs_total", rpc="Counted", code="OK") == 2
    assert value("cri_shim_rpcs_total", rpc="Counted", code="NOT_FOUND") == 1
    assert value("cri_shim_rpcs_total", rpc="Counted", code="INTERNAL") is None


def test_durations_are_told_from_a_millisecond_to_minutes():
    metrics = RpcMetrics("Timed")
    for seconds in (0.0005, 0.03, 200, 400):
        metrics.began()
        metrics.ended(Status.OK, seconds)
    counts = {
        edge: value("cri_shim_rpc_duration_seconds_bucket", rpc="Timed", le=edge)
        for edge in ("0.001", "0.05", "300.0", "+Inf")
    }
    assert counts == {"0.001": 1, "0.05": 2, "300.0": 3, "+Inf": 4}
    assert value("cri_shim_rpc_duration_seconds_sum", rpc="Timed") == 600.0305


def test_the_metrics_of_one_rpc_made_twice_are_the_same():
    RpcMetrics("Again").began()
    RpcMetrics("Again").began()
    assert value("cri_shim_rpcs_under_way", rpc="Again") == 2


def test_prometheus_reads_them():
    RpcMetrics("Read").began()
    assert b'cri_shim_rpcs_under_way{rpc="Read"} 1.0' in generate_latest()
