"""The kubelet and the runtime, killed and started again under running pods."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import pytest

from integration.standalone_kubelet.http_client import HttpError
from integration.standalone_kubelet.manifest import Container, Exec, Pod, Probe
from integration.standalone_kubelet.standalone import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration.harness.assembly import RunningNode
    from integration.harness.daemon import Daemon
    from integration.standalone_kubelet.answers import PodStatus
    from integration.standalone_kubelet.host_directory import HostDirectory
    from integration.standalone_kubelet.standalone import StandaloneKubelet

FOREVER = "exec sleep 100000"
T = TypeVar("T")


@pytest.fixture
def runtime(running: RunningNode) -> Daemon:
    """The daemon that serves the CRI."""
    endpoint = running.shim or running.peer
    assert endpoint
    return endpoint.daemon


def identity(status: PodStatus) -> list[tuple[str, str, int]]:
    """What changes when a container is another."""
    return [(one.name, one.container_id, one.restart_count) for one in status.container_statuses]


def lively(name: str) -> Pod:
    """A pod of two containers, one of which is probed in every way."""
    probe = Probe(exec_=Exec(command=("cat", "/tmp/well")), failure_threshold=3, timeout_seconds=5)
    probed = Container(
        name="probed",
        script=f"touch /tmp/well; {FOREVER}",
        startup_probe=Probe(exec_=Exec(command=("true",)), failure_threshold=30),
        liveness_probe=probe,
        readiness_probe=probe,
    )
    return Pod(name=name, containers=(Container(script=FOREVER), probed))


def same(kubelet: StandaloneKubelet, name: str, before: PodStatus) -> None:
    """Fail unless a pod is, and for some seconds stays, what it was before."""
    after = kubelet.until(name, lambda status: status.condition("Ready") and status.pod_ip)
    time.sleep(5)
    for status in (after, kubelet.ready(name)):
        assert identity(status) == identity(before)
        assert status.pod_ip == before.pod_ip


def answered(call: Callable[[], T]) -> T:
    """The result of a call that is made again until the kubelet has found its runtime again."""

    def attempt() -> T | None:
        with suppress(HttpError):
            return call()
        return None

    return eventually(attempt, 30)


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_pods_do_not_notice_that_the_kubelet_is_started_anew(kubelet: StandaloneKubelet, how: str) -> None:
    name = f"kubelet-{how}"
    before = kubelet.runs(lively(name))
    (kubelet.daemon.stop if how == "stopped" else kubelet.daemon.kill)()
    kubelet.daemon.start()
    same(kubelet, name, before)


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_pods_do_not_notice_that_the_runtime_is_started_anew(
    kubelet: StandaloneKubelet, runtime: Daemon, how: str
) -> None:
    name = f"runtime-{how}"
    before = kubelet.runs(lively(name))
    (runtime.stop if how == "stopped" else runtime.kill)()
    runtime.start()
    same(kubelet, name, before)
    answered(lambda: kubelet.sh(name, "rm /tmp/well", "probed"))  # who probes it now?
    after = kubelet.until(name, lambda status: status.container("probed").restart_count == 1)
    assert identity(after)[0] == identity(before)[0]
    assert kubelet.ready(name).pod_ip == before.pod_ip


def test_what_ends_while_the_runtime_is_away_is_restarted(
    kubelet: StandaloneKubelet, runtime: Daemon, kept: HostDirectory, endpoint: str
) -> None:
    script = "trap 'exit 6' TERM; until [ -e /kept/end ]; do sleep 0.1; done; rm /kept/end; exit 6"
    pod = Pod(name="away", containers=(Container(script=script, volume_mounts=(kept.mount,)),), volumes=(kept.volume,))
    kubelet.runs(pod)
    runtime.kill()
    (kept.path / "end").touch()
    eventually(lambda: not (kept.path / "end").exists() or None, 10)
    runtime.start()
    status = kubelet.until("away", lambda status: status.container().restart_count == 1)
    last = status.container().last_state.terminated
    assert last
    if endpoint == "shim":  # containerd, killed, does not learn how it ended
        assert last.exit_code == 6


def test_a_pod_taken_away_while_the_runtime_is_away_is_ended_afterwards(
    kubelet: StandaloneKubelet, runtime: Daemon, kept: HostDirectory
) -> None:
    script = "trap 'echo told >>/kept/order; exit 0' TERM; while :; do sleep 0.1; done"
    pod = Pod(
        name="taken",
        containers=(Container(script=script, volume_mounts=(kept.mount,)),),
        volumes=(kept.volume,),
        grace=20,
    )
    kubelet.runs(pod)
    runtime.kill()
    kubelet.remove("taken")
    time.sleep(3)  # it notices after one
    runtime.start()
    kubelet.gone("taken", seconds=120)
    assert kept.lines("order") == ["told"]


def test_a_pod_taken_away_while_the_kubelet_is_away_is_ended_afterwards(kubelet: StandaloneKubelet) -> None:
    kubelet.runs(Pod(name="orphan", containers=(Container(script=FOREVER), Container(name="other", script=FOREVER))))
    kubelet.daemon.kill()
    kubelet.remove("orphan")
    kubelet.daemon.start()
    kubelet.gone("orphan")


def test_pods_come_up_although_the_runtime_is_killed_again_and_again(
    kubelet: StandaloneKubelet, runtime: Daemon
) -> None:
    names = [f"stormy-{number}" for number in range(4)]
    for name in names:
        kubelet.run(Pod(name=name, containers=(Container(script=FOREVER), Container(name="other", script=FOREVER))))
        runtime.kill()
        runtime.start()
    for name in names:
        status = kubelet.ready(name, seconds=180)
        assert status.pod_ip
