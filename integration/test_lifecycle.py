"""The life of pods and containers in its less usual turns: what fails, what is stopped when, what is told of it."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread
from grpclib import GRPCError
from grpclib.client import Channel
from grpclib.const import Status

from cri_shim.api.containerd.services.leases.v1 import leases_grpc, leases_pb2
from cri_shim.api.runtime import v1 as cri
from integration.harness.containerd import MAIN, NAMESPACE
from integration.harness.leaks import Baseline
from integration.harness.traces import Tracer
from integration.kubelet import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from integration.harness.assembly import RunningNode
    from integration.harness.containerd import Containerd
    from integration.kubelet import Kubelet, Pod

pytestmark = pytest.mark.anyio

EXITED = cri.ContainerState.CONTAINER_EXITED
DEAF = ["sh", "-c", "trap '' TERM INT; while :; do sleep 0.1; done"]


# ── retries ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_same_pod_by_another_handler_is_another_request(kubelet: Kubelet) -> None:
    config = kubelet.pod_config()
    pod = await kubelet.run_pod(config)
    with pytest.raises(GRPCError) as caught:
        await kubelet.run_pod(config, handler="crun")
    assert caught.value.status is Status.FAILED_PRECONDITION
    assert pod.id in (caught.value.message or "")


async def test_a_container_that_waits_in_a_pods_last_attempt_is_not_the_next_ones(kubelet: Kubelet) -> None:
    first = await kubelet.run_pod()
    waiting = await kubelet.create(first)
    await kubelet.stop_pod(first)
    config = kubelet.pod_config()
    assert config.metadata
    assert first.config.metadata
    config.metadata.attempt = 1
    config.metadata.name, config.metadata.uid = first.config.metadata.name, first.config.metadata.uid
    second = await kubelet.run_pod(config)
    with pytest.raises(GRPCError) as caught:
        await kubelet.create(second)
    assert caught.value.status is Status.FAILED_PRECONDITION
    assert waiting in (caught.value.message or "")


# ── starts that fail ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("handler", ["", "crun"])
async def test_a_start_that_fails_tells_why_and_is_over(kubelet: Kubelet, handler: str) -> None:
    """What the kubelet makes RunContainerError and StartError of: by both runtimes, in their words."""
    pod = await kubelet.run_pod(handler=handler)
    for number, (command, text) in enumerate(
        ((["/no/such"], "/no/such"), (["nosuch"], "nosuch"), (["/etc/passwd"], "/etc/passwd"))
    ):
        container = await kubelet.create(pod, kubelet.container_config(command, f"c{number}"))
        with pytest.raises(GRPCError) as caught:
            await kubelet.start(container)
        assert caught.value.status is Status.UNKNOWN
        message = caught.value.message or ""
        assert message.startswith("failed to create containerd task: ")
        assert text in message
        status = await kubelet.status(container)
        assert (status.state, status.exit_code, status.reason) == (EXITED, 128, "StartError")
        assert status.message == message
        assert status.started_at == 0
        assert status.finished_at >= status.created_at
        await kubelet.stop(container, timeout=10)
        with pytest.raises(GRPCError, match="CONTAINER_EXITED"):
            await kubelet.start(container)
        await kubelet.remove(container)


async def test_a_target_that_has_ended_is_not_joined(kubelet: Kubelet) -> None:
    """Its pid may be another process's by then."""
    pod = await kubelet.run_pod()
    target = await kubelet.run(pod)
    options = cri.NamespaceOption(pid=cri.NamespaceMode.TARGET, target_id=target)
    linux = cri.LinuxContainerConfig(security_context=cri.LinuxContainerSecurityContext(namespace_options=options))
    container = await kubelet.create(pod, kubelet.container_config(name="debugger", linux=linux))
    await kubelet.stop(target)
    with pytest.raises(GRPCError, match=target):
        await kubelet.start(container)
    assert (await kubelet.status(container)).reason == "StartError"


# ── ends ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("handler", ["", "crun"])
async def test_exit_codes_reasons_and_times(kubelet: Kubelet, endpoint: str, handler: str) -> None:
    pod = await kubelet.run_pod(handler=handler)
    context = cri.LinuxContainerSecurityContext(namespace_options=cri.NamespaceOption(pid=cri.NamespaceMode.POD))
    for name, command, limit, code, reason in (
        ("good", ["true"], 0, 0, "Completed"),
        ("bad", ["sh", "-c", "exit 42"], 0, 42, "Error"),
        ("killed", ["sh", "-c", "kill -9 $$"], 0, 137, "Error"),  # in the pod's pid namespace it may kill itself
        ("greedy", ["tail", "-c", "200000000", "/dev/zero"], 16 << 20, 137, "OOMKilled"),
    ):
        resources = cri.LinuxContainerResources(memory_limit_in_bytes=limit)
        linux = cri.LinuxContainerConfig(resources=resources, security_context=context)
        before = time.time_ns()
        status = await kubelet.exited(await kubelet.run(pod, kubelet.container_config(command, name, linux=linux)))
        assert (status.exit_code, status.reason) == (code, reason), name
        assert before <= status.created_at <= status.started_at
        assert status.created_at < status.finished_at <= time.time_ns()
        if endpoint == "shim":  # improvement: with containerd a quick end may be before its beginning
            assert status.started_at <= status.finished_at


async def test_a_container_that_never_started_is_stopped_by_doing_nothing(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    container, unused = await kubelet.create(pod), await kubelet.create(pod, kubelet.container_config(name="unused"))
    await kubelet.stop(container, timeout=5)
    status = await kubelet.status(container)
    assert (status.state, status.started_at, status.finished_at) == (cri.ContainerState.CONTAINER_CREATED, 0, 0)
    await kubelet.remove(unused)
    await kubelet.start(container)
    await kubelet.remove(container)  # though it runs


async def test_the_stop_signal_is_the_images(kubelet: Kubelet) -> None:
    await kubelet.pull("docker.io/test/volumes:1")
    command = ["sh", "-c", "trap 'exit 3' INT; trap 'exit 4' TERM; while :; do sleep 0.1; done"]
    config = kubelet.container_config(command, image="docker.io/test/volumes:1")
    container = await kubelet.run(await kubelet.run_pod(), config)
    await kubelet.stop(container, timeout=30)
    assert (await kubelet.status(container)).exit_code == 3


@pytest.mark.shim_only
async def test_the_stop_signal_is_the_requests_before_the_images(kubelet: Kubelet) -> None:
    """Improvement: containerd has it from 2.3 on."""
    command = ["sh", "-c", "trap 'exit 3' USR1; trap 'exit 4' TERM; while :; do sleep 0.1; done"]
    config = kubelet.container_config(command, stop_signal=cri.Signal.SIGUSR1)
    container = await kubelet.run(await kubelet.run_pod(), config)
    assert (await kubelet.status(container)).stop_signal == cri.Signal.SIGUSR1
    await kubelet.stop(container, timeout=30)
    assert (await kubelet.status(container)).exit_code == 3


async def test_stops_at_once_and_one_after_the_other_end_with_the_most_urgent(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod, kubelet.container_config(DEAF))
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(kubelet.stop, container, 600)
            await anyio.sleep(0.2)
            await kubelet.stop(container, timeout=0)
    assert (await kubelet.status(container)).exit_code == 137


async def test_a_pod_stops_with_all_its_containers(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    containers = [await kubelet.run(pod, kubelet.container_config(DEAF, f"c{number}")) for number in range(3)]
    created = await kubelet.create(pod, kubelet.container_config(name="created"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kubelet.stop_pod, pod)
        tasks.start_soon(kubelet.stop, containers[0], 600)
    assert [(await kubelet.status(one)).exit_code for one in containers] == [137] * 3
    with pytest.raises(GRPCError):
        await kubelet.start(created)
    status = await kubelet.status(created)
    assert (status.state, status.exit_code, status.reason) == (EXITED, 128, "StartError")


@pytest.mark.shim_only
async def test_a_stop_during_the_start_leaves_nothing_running(kubelet: Kubelet) -> None:
    """Improvement: with containerd the start may fail and leave its shim."""
    pod = await kubelet.run_pod()
    container = await kubelet.create(pod)

    async def start() -> None:
        with suppress(GRPCError):  # the stop may have been quicker
            await kubelet.start(container)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(start)
        await anyio.sleep(0.02)
        await kubelet.stop_pod(pod)
    assert (await kubelet.status(container)).state != cri.ContainerState.CONTAINER_RUNNING


# ── what gets stuck ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.shim_only
@pytest.mark.parametrize("timeout", [0, 600])
async def test_a_paused_container_is_thawed_and_stopped(kubelet: Kubelet, containerd: Containerd, timeout: int) -> None:
    """Improvement: on cgroup v1 no signal reaches a frozen process, and with containerd the call waits for ever."""
    command = ["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done"]
    container = await kubelet.run(await kubelet.run_pod(), kubelet.container_config(command))
    await to_thread.run_sync(containerd.ctr, "tasks", "pause", container)
    with anyio.fail_after(60):
        await kubelet.stop(container, timeout)
    assert (await kubelet.status(container)).exit_code == (3 if timeout else 137)


@asynccontextmanager
async def impatient(running: RunningNode) -> AsyncIterator[None]:
    """cri-shim waits for a shim as long as a moment, not thirty seconds."""
    assert running.shim
    path, daemon = running.node.path(MAIN.config), running.shim.daemon
    usual = path.read_text()
    path.write_text(usual + "\n[plugins.'io.cri-shim.v1']\n  shim_timeout = '300ms'\n")
    await to_thread.run_sync(daemon.restart)
    try:
        yield
    finally:
        path.write_text(usual)
        await to_thread.run_sync(daemon.restart)


def signal_shim(running: RunningNode, pod: Pod, name: str) -> None:
    found = "tr '\\0' ' ' <$p/cmdline | grep -q \"shim.* -id $1\" && kill -$2 ${p#/proc/}"
    running.node.run(["sh", "-c", f"for p in /proc/[0-9]*; do {found}; done; true", "sh", pod.id, name])


async def gone(running: RunningNode, pattern: str) -> None:
    """Wait until no process of the node's has such a command line."""

    async def nobody() -> bool | None:
        found = running.node.run(["sh", "-c", f"cat /proc/[0-9]*/cmdline | grep -a {pattern}"], check=False)
        return found.returncode == 1 or None

    await eventually(nobody, 60)


@pytest.mark.shim_only
async def test_a_shim_that_hangs_is_killed_and_its_pod_can_be_removed(kubelet: Kubelet, running: RunningNode) -> None:
    """Improvement: with containerd such a pod never ends."""
    async with impatient(running):
        pod = await kubelet.run_pod()
        containers = [await kubelet.run(pod, kubelet.container_config(DEAF, name)) for name in ("one", "two")]
        alone = await kubelet.run_pod()
        for one in (pod, alone):
            signal_shim(running, one, "STOP")
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(kubelet.remove_pod, alone)
                await kubelet.stop(containers[0], timeout=1)
        for container in containers:
            status = await kubelet.exited(container, 60)
            assert status.exit_code in (137, 255)
            assert "shim did not answer" in status.message
        await kubelet.remove_pod(pod)
    assert running.shim
    assert "shim killed: it did not answer" in running.shim.daemon.log_text()


async def sandbox_killed(kubelet: Kubelet, running: RunningNode, pod: Pod) -> None:
    """End the pod's first process, and wait until the pod is seen not to be ready."""
    info = json.loads((await kubelet.pod_status(pod, verbose=True)).info["info"])
    running.node.run(["kill", "-KILL", str(info["pid"])])

    async def not_ready() -> bool | None:
        status = (await kubelet.pod_status(pod)).status
        return (status and status.state == cri.PodSandboxState.SANDBOX_NOTREADY) or None

    await eventually(not_ready)


@pytest.mark.parametrize(
    "together",
    [
        pytest.param(True, id="with its containers"),
        pytest.param(False, id="before its containers", marks=pytest.mark.shim_only),  # with containerd its shim stays
    ],
)
async def test_a_pod_whose_first_process_has_died_leaves_no_shim(
    kubelet: Kubelet, running: RunningNode, *, together: bool
) -> None:
    pod = await kubelet.run_pod()
    mode = cri.NamespaceMode.POD if together else cri.NamespaceMode.CONTAINER
    context = cri.LinuxContainerSecurityContext(namespace_options=cri.NamespaceOption(pid=mode))
    linux = cri.LinuxContainerConfig(security_context=context)
    containers = [await kubelet.run(pod, kubelet.container_config(name=name, linux=linux)) for name in ("one", "two")]
    await sandbox_killed(kubelet, running, pod)
    for container in containers:
        if not together:
            assert (await kubelet.exec(container, "echo", "alive")).stdout == b"alive\n"
            await kubelet.stop(container)
        await kubelet.exited(container)
    await kubelet.stop_pod(pod)
    await kubelet.remove_pod(pod)


@pytest.mark.shim_only
@pytest.mark.parametrize("ended", ["while it is away", "before"])
async def test_a_restart_does_not_forget_the_shim_of_such_a_pod(
    kubelet: Kubelet, running: RunningNode, ended: str
) -> None:
    assert running.shim
    pod = await kubelet.run_pod()
    context = cri.LinuxContainerSecurityContext(namespace_options=cri.NamespaceOption(pid=cri.NamespaceMode.CONTAINER))
    linux = cri.LinuxContainerConfig(security_context=context)
    container = await kubelet.run(pod, kubelet.container_config(linux=linux))
    info = json.loads((await kubelet.pod_status(pod, verbose=True)).info["info"])
    if ended == "before":
        await sandbox_killed(kubelet, running, pod)
    await to_thread.run_sync(running.shim.daemon.kill)
    if ended != "before":
        running.node.run(["kill", "-KILL", str(info["pid"])])
    await to_thread.run_sync(running.shim.daemon.start)
    status = (await kubelet.pod_status(pod)).status
    assert status
    assert status.state == cri.PodSandboxState.SANDBOX_NOTREADY
    assert (await kubelet.exec(container, "echo", "alive")).stdout == b"alive\n"
    await kubelet.stop_pod(pod)
    await kubelet.remove_pod(pod)


@pytest.mark.leaves_traces  # of containerd's own CRI; what cri-shim leaves is counted here
@pytest.mark.parametrize("handler", ["", "crun"])
async def test_a_pod_whose_shim_dies_has_ended_and_leaves_nothing(
    kubelet: Kubelet, running: RunningNode, containerd: Containerd, endpoint: str, handler: str
) -> None:
    """Improvement: with containerd a container with a pid namespace of its own runs on, out of everybody's sight, and
    the cgroups of all stay.
    """
    baseline = await Baseline.take(Tracer(containerd))
    pod = await kubelet.run_pod(handler=handler)
    alone = cri.LinuxContainerSecurityContext(namespace_options=cri.NamespaceOption(pid=cri.NamespaceMode.CONTAINER))
    linux = cri.LinuxContainerConfig(security_context=alone)
    containers = [
        await kubelet.run(pod),
        await kubelet.run(pod, kubelet.container_config(["sleep", "98764"], "alone", linux=linux)),
    ]
    signal_shim(running, pod, "KILL")
    for container in containers:
        status = await kubelet.exited(container, 60)
        assert status.exit_code in (137, 255)

    async def not_ready() -> bool | None:
        status = (await kubelet.pod_status(pod)).status
        return (status and status.state == cri.PodSandboxState.SANDBOX_NOTREADY) or None

    assert await eventually(not_ready, 60)
    if endpoint == "shim":
        await gone(running, "9876[4]")
    await kubelet.remove_pod(pod)
    if endpoint == "shim":
        assert await baseline.difference() == ""


@pytest.mark.shim_only
async def test_a_pod_whose_shim_dies_while_we_are_down_has_ended(kubelet: Kubelet, running: RunningNode) -> None:
    """Improvement: containerd shows it as ended, and lets its processes run."""
    pod = await kubelet.run_pod()
    alone = cri.LinuxContainerSecurityContext(namespace_options=cri.NamespaceOption(pid=cri.NamespaceMode.CONTAINER))
    linux = cri.LinuxContainerConfig(security_context=alone)
    container = await kubelet.run(pod, kubelet.container_config(["sleep", "98763"], linux=linux))
    assert running.shim
    await to_thread.run_sync(running.shim.daemon.kill)
    signal_shim(running, pod, "KILL")
    await to_thread.run_sync(running.shim.daemon.start)
    assert (await kubelet.exited(container, 60)).reason == "Unknown"
    await gone(running, "9876[3]")
    await kubelet.remove_pod(pod)


@pytest.mark.shim_only  # what its lease lists is ours to say
async def test_a_pod_forgets_its_removed_containers(kubelet: Kubelet, containerd: Containerd) -> None:
    pod = await kubelet.run_pod()
    for attempt in range(3):
        config = kubelet.container_config(["true"])
        assert config.metadata
        config.metadata.attempt = attempt
        container = await kubelet.run(pod, config)
        await kubelet.exited(container)
        await kubelet.remove(container)
    channel = Channel(path=str(containerd.socket))
    try:
        request = leases_pb2.ListResourcesRequest(id=pod.id)
        held = await leases_grpc.LeasesStub(channel).ListResources(
            request, metadata={"containerd-namespace": NAMESPACE}
        )
    finally:
        channel.close()
    assert [one.id for one in held.resources if one.type.startswith("snapshots/")] == [pod.id]
