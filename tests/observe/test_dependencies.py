"""The metrics of what calls wait for."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from prometheus_client import REGISTRY

from cri_shim.errors import NotFound, Unknown
from cri_shim.observe.containerd_names import LOG_VOLUME, SET_UP_POD, Timer, network_operation
from cri_shim.observe.dependencies import ContainerdCall, PluginRun, event_handled, watch_queue

METHOD = "/containerd.services.tasks.v1.Tasks/{}"


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def calls(method: str, code: str) -> float | None:
    return value(
        "cri_shim_containerd_calls_total", service="containerd.services.tasks.v1.Tasks", method=method, code=code
    )


def test_a_call_is_counted_by_its_status():
    for error in (None, NotFound("x"), NotFound("x"), KeyboardInterrupt()):
        with suppress(NotFound, KeyboardInterrupt), ContainerdCall(METHOD.format("MadeUpGet"), timed=True):
            if error is not None:
                raise error
    assert calls("MadeUpGet", "OK") == 1
    assert calls("MadeUpGet", "NOT_FOUND") == 2
    assert calls("MadeUpGet", "CANCELLED") == 1
    timed = {"service": "containerd.services.tasks.v1.Tasks", "method": "MadeUpGet"}
    assert value("cri_shim_containerd_call_duration_seconds_count", **timed) == 4


def test_a_call_that_waits_for_something_to_happen_is_not_timed():
    with ContainerdCall(METHOD.format("MadeUpWait"), timed=False):
        pass
    assert calls("MadeUpWait", "OK") == 1
    timed = {"service": "containerd.services.tasks.v1.Tasks", "method": "MadeUpWait"}
    assert value("cri_shim_containerd_call_duration_seconds_count", **timed) == 0


def test_a_plugin_is_counted_by_verb_and_outcome():
    with PluginRun("made-up", "ADD"):
        pass
    with pytest.raises(Unknown), PluginRun("made-up", "DEL"):
        raise Unknown("x")
    assert value("cri_shim_cni_plugin_runs_total", plugin="made-up", verb="ADD", result="success") == 1
    assert value("cri_shim_cni_plugin_runs_total", plugin="made-up", verb="DEL", result="failure") == 1
    assert value("cri_shim_cni_plugin_duration_seconds_count", plugin="made-up", verb="DEL") == 1


def test_a_network_operation_has_the_names_of_containerds_plugin():
    def counted(name: str) -> float:
        return value(f"containerd_cri_network_plugin_operations_{name}", operation_type=SET_UP_POD) or 0

    names = ("total_total", "errors_total_total", "duration_seconds_seconds_count")
    before = [counted(name) for name in names]
    with network_operation(SET_UP_POD):
        pass
    with pytest.raises(Unknown), network_operation(SET_UP_POD):
        raise Unknown("x")
    assert [counted(name) - was for name, was in zip(names, before, strict=True)] == [2, 1, 1]


def test_only_what_succeeds_is_timed():
    timer = Timer("test_made_up", "For this test.", "runtime")
    with timer.success("runc"):
        pass
    with pytest.raises(Unknown), timer.success("runc"):
        raise Unknown("x")
    assert value("containerd_cri_test_made_up_seconds_count", runtime="runc") == 1


def test_the_lag_of_an_event_is_since_it_happened():
    event_handled("made up", time.time_ns() - 2_000_000_000)
    assert 2 <= (value("cri_shim_event_lag_seconds_sum", event="made up") or 0) < 3


def test_a_queue_is_looked_into_when_somebody_asks():
    queue = [1, 2]
    watch_queue("made up", lambda: len(queue))
    assert value("cri_shim_queue_depth", queue="made up") == 2
    queue.clear()
    assert value("cri_shim_queue_depth", queue="made up") == 0


def test_the_volume_of_logs_is_told_under_containerds_names():
    before = value("containerd_cri_input_bytes_total") or 0
    LOG_VOLUME.input_bytes += 5
    assert value("containerd_cri_input_bytes_total") == before + 5
    names = ("input_entries", "output_entries", "output_bytes", "split_entries")
    assert all(value(f"containerd_cri_{name}_total") is not None for name in names)
