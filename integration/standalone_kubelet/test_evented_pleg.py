"""The kubelet told by events, not by lists, what becomes of containers (its feature gate EventedPLEG)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from integration.standalone_kubelet.manifest import Container, Pod
from integration.standalone_kubelet.standalone import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration.harness.assembly import RunningNode
    from integration.standalone_kubelet.standalone import StandaloneKubelet

FOREVER = "exec sleep 100000"
EVENTED = {"featureGates": {"EventedPLEG": True}}


def metric(kubelet: StandaloneKubelet, name: str) -> float:
    found = re.search(rf"^kubelet_evented_pleg_{name}(?:{{[^}}]*}})? (\S+)$", kubelet.metrics("/metrics"), re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.fixture
def evented(kubelet: StandaloneKubelet, reconfigured: Callable[..., None]) -> StandaloneKubelet:
    reconfigured(**EVENTED)
    eventually(lambda: metric(kubelet, "connection_success_count") or None, 30)
    return kubelet


def test_pods_live_by_events(evented: StandaloneKubelet) -> None:
    evented.runs(
        Pod(name="evented", containers=(Container(script="sleep 3; exit 1"), Container(name="b", script=FOREVER)))
    )
    status = evented.until("evented", lambda status: status.container().restart_count >= 2)
    assert status.container("b").restart_count == 0
    assert metric(evented, "connection_latency_seconds_count") > 0
    evented.remove("evented")
    evented.gone("evented")


def test_what_ends_is_noticed_although_the_events_have_broken_off(
    evented: StandaloneKubelet, running: RunningNode
) -> None:
    endpoint = running.shim or running.peer
    assert endpoint
    evented.runs(Pod(name="evented-killed", containers=(Container(script="sleep 10; exit 1"),)))
    endpoint.daemon.kill()
    endpoint.daemon.start()
    status = evented.until("evented-killed", lambda status: status.container().restart_count >= 1)
    assert status.container().last_state.terminated
