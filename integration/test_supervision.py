"""cri-shim as a service manager has it: told how it is, restarted under load, asked for its health, one at a time."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread
from grpclib import GRPCError
from grpclib.client import Channel
from grpclib.const import Status
from grpclib.exceptions import StreamTerminatedError

from cri_shim.api.grpc.health import v1 as health
from cri_shim.api.runtime import v1 as cri
from integration.harness import probes, service_manager
from integration.harness.containerd import MAIN
from integration.harness.daemon import Daemon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet

pytestmark = [pytest.mark.anyio, pytest.mark.shim_only]

MANAGED = "/run/managed/cri.sock"
LOG = "/var/log/managed.log"
WATCHDOG = 3.0  # seconds
LISTERS = 8
SERVING = health.HealthCheckResponseServingStatus.SERVING


@pytest.fixture
def managed(running: RunningNode) -> Iterator[Daemon]:
    """A service manager that keeps cri-shim, with the socket of its own, in the place of the session's cri-shim."""
    assert running.shim
    usual = running.shim.daemon
    usual.stop()
    argv = [usual.argv[0], "-c", service_manager.script(), MANAGED, str(WATCHDOG), *usual.argv]
    socket = running.node.path("/run") / MANAGED.removeprefix("/run/")
    log_before = running.node.path("/var/log") / "managed.log"
    log_before.unlink(missing_ok=True)
    manager = Daemon(running.node, argv, LOG, lambda: probes.serves_cri(socket), environment=usual.environment)
    try:
        with manager:
            yield manager
    finally:
        usual.start()


def told(manager: Daemon) -> list[str]:
    """What the service has told, without the beats."""
    lines = [line.removeprefix("told ") for line in manager.log_text().splitlines() if line.startswith("told ")]
    return [line for line in lines if not line.startswith(("WATCHDOG", "EXTEND"))]


def services(manager: Daemon) -> int:
    return manager.log_text().count(" started\n")


async def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    with anyio.fail_after(seconds):
        while not await to_thread.run_sync(holds):  # noqa: ASYNC110  (what holds is in a file of the node's)
            await anyio.sleep(0.05)


async def test_systemd_hears_of_each_step_and_that_the_loop_turns(managed: Daemon) -> None:
    await until(lambda: any(line.startswith("READY=1") for line in told(managed)))
    await anyio.sleep(WATCHDOG)
    assert managed.log_text().count("told WATCHDOG=1") >= 2
    os.kill(managed.pid, signal.SIGHUP)
    await until(lambda: told(managed)[-1] == "READY=1")
    await to_thread.run_sync(managed.stop)
    heard = told(managed)
    kinds = [line.split(" ")[0].split("=")[0] for line in heard]
    assert kinds == ["STATUS", "STATUS", "READY", "RELOADING", "READY", "STOPPING"]
    assert heard[0] == f"STATUS=waiting for containerd at {MAIN.socket}"
    assert "containerd 2." in heard[2]
    assert "ended with 0\n" in managed.log_text()


async def test_a_restart_under_load_loses_no_call_that_was_taken_and_clients_wait_in_the_socket(
    running: RunningNode,
    kubelet: Kubelet,
    managed: Daemon,
) -> None:
    socket = str(running.node.path(MANAGED))
    done, failures, refused = [0], list[str](), [0]

    async def lists(until_: anyio.Event) -> None:
        """Lists, one after the other, on a connection that is made anew when it is lost: as gRPC clients do."""
        while not until_.is_set():
            channel = Channel(path=socket)
            try:
                while not until_.is_set():
                    await cri.RuntimeServiceStub(channel).list_containers(cri.ListContainersRequest(), timeout=30)
                    done[0] += 1
            except GRPCError as error:
                refused[0] += error.status is Status.UNAVAILABLE
                if error.status is not Status.UNAVAILABLE:
                    failures.append(str(error))
            except StreamTerminatedError:
                refused[0] += 1
            except OSError as error:  # the socket is systemd's, and is always there
                failures.append(repr(error))
            finally:
                channel.close()
            await anyio.sleep(0.02)

    ended, before, pods = anyio.Event(), services(managed), list[str]()
    with closing(Channel(path=socket)) as channel:
        client = replace(kubelet, runtime=cri.RuntimeServiceStub(channel))
        await client.run_pod()

        async def pod() -> None:
            pods.append((await client.run_pod()).id)

        async with anyio.create_task_group() as load:
            try:
                for _ in range(LISTERS):
                    load.start_soon(lists, ended)
                async with anyio.create_task_group() as under_way:
                    for _ in range(3):
                        under_way.start_soon(pod)
                    await anyio.sleep(0.1)
                    os.kill(managed.pid, signal.SIGUSR1)
                assert len(pods) == 3  # begun before the end: answered before it
                await until(lambda: services(managed) == before + 1)
                at_restart = done[0]
                await until(lambda: done[0] > at_restart + 20 * LISTERS, 60)
            finally:
                ended.set()
    assert failures == []
    with closing(Channel(path=socket)) as channel:
        listed = (await cri.RuntimeServiceStub(channel).list_pod_sandbox(cri.ListPodSandboxRequest())).items
    assert set(pods) <= {item.id for item in listed if item.state is cri.PodSandboxState.SANDBOX_READY}


async def test_a_killed_service_comes_back_on_the_same_socket(running: RunningNode, managed: Daemon) -> None:
    socket = running.node.path(MANAGED)
    inode = socket.lstat().st_ino
    text = managed.log_text().splitlines()
    service = int(next(line for line in text if line.endswith(" started")).split()[1])
    running.node.run(["kill", "-9", str(service)])
    channel = Channel(path=str(socket))
    begin = time.monotonic()
    with anyio.fail_after(20):  # one call, made while nobody is there to answer it
        while True:
            try:
                version = await cri.RuntimeServiceStub(channel).version(cri.VersionRequest())
                break
            except (GRPCError, StreamTerminatedError):
                await anyio.sleep(0.05)
    assert version.runtime_api_version == "v1", time.monotonic() - begin
    assert socket.lstat().st_ino == inode
    channel.close()


async def test_a_second_instance_is_refused_by_the_first_ones_pid(running: RunningNode, kubelet: Kubelet) -> None:
    assert running.shim
    argv = [*running.shim.daemon.argv, "--listen", "unix:///run/second.sock"]
    second = await to_thread.run_sync(
        lambda: running.node.run(argv, env=running.shim.daemon.environment, check=False)  # type: ignore[union-attr]
    )
    pid = running.node.path("/run/containerd/io.containerd.grpc.v1.cri/cri-shim.lock").read_text().strip()
    assert second.returncode == 1
    expected = f"another cri-shim (pid {pid}) serves from /run/containerd/io.containerd.grpc.v1.cri: end it first"
    assert expected in second.stderr
    assert "cri_shim" in running.node.path(f"/proc/{pid}/cmdline").read_text()
    await kubelet.run_pod()  # and the first one is none the worse for it


async def test_health_is_answered_on_the_cri_socket(channel: Channel) -> None:
    stub = health.HealthStub(channel)
    for service in ("", "runtime.v1.RuntimeService", "runtime.v1.ImageService"):
        assert (await stub.check(health.HealthCheckRequest(service=service))).status is SERVING
    async for answer in stub.watch(health.HealthCheckRequest()):
        assert answer.status is SERVING
        break
