"""Probes by commands, HTTP and TCP: what they decide, and that a slow one counts as failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from integration.standalone_kubelet.manifest import At, Container, Exec, Pod, Probe

if TYPE_CHECKING:
    from integration.standalone_kubelet.standalone import StandaloneKubelet

FOREVER = "exec sleep 100000"
FILE = Exec(command=("cat", "/tmp/well"))
SERVER = "httpd -p 8080 -h /etc"
PROBES = {
    "exec": Probe(exec_=FILE),
    "http": Probe(http_get=At(port=8080, path="/passwd")),
    "tcp": Probe(tcp_socket=At(port=8080)),
}
# Well after two seconds, by whichever probe one asks.
RECOVERS = f"sleep 2; touch /tmp/well; {SERVER}; {FOREVER}"
# Well for three seconds.
FALLS_ILL = f"touch /tmp/well; {SERVER}; sleep 3; rm /tmp/well; killall httpd; {FOREVER}"


@pytest.mark.parametrize("kind", PROBES)
def test_a_container_is_ready_when_its_probe_says_so(kubelet: StandaloneKubelet, kind: str) -> None:
    name = f"readiness-{kind}"
    kubelet.run(Pod(name=name, containers=(Container(script=RECOVERS, readiness_probe=PROBES[kind]),)))
    status = kubelet.until(name, lambda status: status.container().state.running)
    assert not status.container().ready
    status = kubelet.ready(name)
    assert (status.container().ready, status.container().restart_count) == (True, 0)


@pytest.mark.parametrize("kind", PROBES)
def test_a_container_that_is_not_well_is_restarted(kubelet: StandaloneKubelet, kind: str) -> None:
    name = f"liveness-{kind}"
    probe = replace(PROBES[kind], failure_threshold=2)
    kubelet.run(Pod(name=name, containers=(Container(script=FALLS_ILL, liveness_probe=probe),)))
    status = kubelet.until(name, lambda status: status.container().restart_count >= 1)
    last = status.container().last_state.terminated
    assert last
    assert last.exit_code == 137
    assert last.started_at
    assert last.finished_at
    assert (last.finished_at - last.started_at).total_seconds() >= 3


@pytest.mark.parametrize("kind", PROBES)
def test_nothing_else_is_probed_before_a_container_has_started_up(kubelet: StandaloneKubelet, kind: str) -> None:
    name = f"startup-{kind}"
    container = Container(
        script=RECOVERS,
        startup_probe=replace(PROBES[kind], failure_threshold=30),
        liveness_probe=PROBES[kind],  # a single failure restarts it
    )
    kubelet.run(Pod(name=name, containers=(container,)))
    status = kubelet.until(name, lambda status: status.container().state.running)
    assert status.container().started is False
    status = kubelet.ready(name)
    assert (status.container().started, status.container().restart_count) == (True, 0)


def test_readiness_comes_and_goes_without_a_restart(kubelet: StandaloneKubelet) -> None:
    kubelet.runs(
        Pod(
            name="unready",
            containers=(Container(script=f"touch /tmp/well; {FOREVER}", readiness_probe=Probe(exec_=FILE)),),
        )
    )
    kubelet.sh("unready", "rm /tmp/well")
    kubelet.until("unready", lambda status: not status.condition("Ready"))
    kubelet.sh("unready", "touch /tmp/well")
    status = kubelet.ready("unready")
    assert status.container().restart_count == 0


def test_a_command_that_takes_too_long_has_failed(kubelet: StandaloneKubelet) -> None:
    slow = Probe(exec_=Exec(command=("sleep", "60")), timeout_seconds=1, failure_threshold=2)
    kubelet.run(Pod(name="slow-probe", containers=(Container(script=FOREVER, liveness_probe=slow),)))
    kubelet.until("slow-probe", lambda status: status.container().restart_count >= 1)


def test_a_command_that_is_not_there_never_succeeds(kubelet: StandaloneKubelet) -> None:
    absent = Probe(exec_=Exec(command=("/no/such/command",)))
    kubelet.run(Pod(name="no-probe", containers=(Container(script=FOREVER, readiness_probe=absent),)))
    status = kubelet.until("no-probe", lambda status: status.container().state.running)
    assert not status.container().ready
