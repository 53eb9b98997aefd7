"""A pod from nothing to nothing, as the kubelet takes it there."""

from __future__ import annotations

import os
import re
import time

import anyio
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from cri_shim.api.runtime import v1 as cri
from integration.kubelet import BUSYBOX, Kubelet, eventually

pytestmark = pytest.mark.anyio


async def test_the_runtime_answers_its_version_and_is_ready(kubelet: Kubelet) -> None:
    version = await kubelet.runtime.version(cri.VersionRequest(version="v1"))
    assert (version.version, version.runtime_name, version.runtime_api_version) == ("0.1.0", "containerd", "v1")
    assert re.match(r"v?2\.", version.runtime_version)
    status = (await kubelet.runtime.status(cri.StatusRequest())).status
    assert status is not None
    conditions = {condition.type: condition.status for condition in status.conditions}
    assert conditions["RuntimeReady"]
    assert conditions["NetworkReady"]


async def test_a_container_writes_its_log_and_exits_with_its_code(kubelet: Kubelet, endpoint: str) -> None:
    pod = await kubelet.run_pod()
    before = time.time_ns()
    container = await kubelet.run(
        pod, kubelet.container_config(["sh", "-c", "echo out; echo err >&2; printf rest; exit 3"])
    )
    status = await kubelet.exited(container)
    assert (status.exit_code, status.reason) == (3, "Error")
    assert before < status.started_at
    if endpoint == "shim":  # improvement: containerd may tell that it ended before it began
        assert status.started_at <= status.finished_at
    lines = await kubelet.log(container)
    content = sorted(line.split(" ", 1)[1] for line in lines)
    assert content == ["stderr F err", "stdout F out", "stdout P rest"]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d) ", line) for line in lines)


async def test_a_pod_has_an_address_a_hostname_and_its_name_servers(kubelet: Kubelet) -> None:
    config = kubelet.pod_config("web")
    config.dns_config = cri.DnsConfig(servers=["10.0.0.10"], searches=["svc.local"], options=["ndots:5"])
    pod = await kubelet.run_pod(config)
    network = (await kubelet.pod_status(pod)).status
    assert network is not None
    assert network.network is not None
    container = await kubelet.run(pod)
    address = await kubelet.exec(container, "ip", "-4", "addr", "show", "eth0")
    assert network.network.ip.encode() in address.stdout
    assert (await kubelet.exec(container, "hostname")).stdout.decode().strip() == config.hostname
    resolv = (await kubelet.exec(container, "cat", "/etc/resolv.conf")).stdout.decode()
    assert resolv == "search svc.local\nnameserver 10.0.0.10\noptions ndots:5\n"
    assert b" lo:" in (await kubelet.exec(container, "ip", "addr", "show", "up")).stdout


async def test_two_pods_reach_each_other(kubelet: Kubelet) -> None:
    server, client = await kubelet.run_pod(), await kubelet.run_pod()
    await kubelet.run(server, kubelet.container_config(["sh", "-c", "echo hello | nc -l -p 8080"]))
    status = (await kubelet.pod_status(server)).status
    assert status is not None
    assert status.network is not None
    address = status.network.ip
    caller = await kubelet.run(client)

    async def hello() -> bool | None:
        answer = await kubelet.exec(caller, "nc", "-w", "2", address, "8080")
        return answer.stdout == b"hello\n" or None

    assert await eventually(hello)


async def test_a_host_network_pod_has_the_nodes_network_and_no_address_of_its_own(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod(kubelet.pod_config(host_network=True))
    status = (await kubelet.pod_status(pod)).status
    assert status is not None
    assert status.network is None or status.network.ip == ""
    assert status.linux is not None
    assert status.linux.namespaces is not None
    assert status.linux.namespaces.options is not None
    assert status.linux.namespaces.options.network == cri.NamespaceMode.NODE
    container = await kubelet.run(pod)
    bridge = kubelet.path("/sys/class/net/cni0/address")
    assert (await kubelet.exec(container, "cat", "/sys/class/net/cni0/address")).stdout == await anyio.Path(
        bridge
    ).read_bytes()


async def test_exec_sync_answers_output_and_exit_code(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    answer = await kubelet.exec(container, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (answer.stdout, answer.stderr, answer.exit_code) == (b"out\n", b"err\n", 7)


async def test_exec_sync_past_its_timeout_is_killed_and_says_so(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    with pytest.raises(GRPCError) as caught:
        await kubelet.exec(container, "sleep", "30", timeout=1)
    assert caught.value.status is Status.DEADLINE_EXCEEDED
    assert "timeout 1s exceeded" in (caught.value.message or "")
    assert b"sleep 30" not in (await kubelet.exec(container, "ps")).stdout


async def test_states_follow_the_life_of_a_container(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    container = await kubelet.create(pod)
    assert (await kubelet.status(container)).state == cri.ContainerState.CONTAINER_CREATED
    await kubelet.start(container)
    running = await kubelet.status(container)
    assert running.state == cri.ContainerState.CONTAINER_RUNNING
    assert running.created_at < running.started_at
    assert running.image is not None
    assert running.image.image == BUSYBOX
    await kubelet.stop(container)
    stopped = await kubelet.status(container)
    assert stopped.state == cri.ContainerState.CONTAINER_EXITED
    assert stopped.exit_code == 137
    await kubelet.remove(container)
    with pytest.raises(GRPCError) as caught:
        await kubelet.status(container)
    assert caught.value.status is Status.NOT_FOUND


async def test_stop_gives_the_process_its_grace_and_then_kills_it(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    polite = await kubelet.run(
        pod, kubelet.container_config(["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done"], "polite")
    )
    deaf = await kubelet.run(
        pod, kubelet.container_config(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], "deaf")
    )
    await kubelet.stop(polite, timeout=10)
    assert (await kubelet.status(polite)).exit_code == 5
    begin = time.monotonic()
    await kubelet.stop(deaf, timeout=1)
    assert time.monotonic() - begin >= 1
    assert (await kubelet.status(deaf)).exit_code == 137


async def test_stopping_and_removing_again_or_what_never_was_is_no_error(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod)
    for _ in range(2):
        await kubelet.stop(container)
    for _ in range(2):
        await kubelet.remove(container)
    for _ in range(2):
        await kubelet.stop_pod(pod)
    assert (await kubelet.list_pods(cri.PodSandboxFilter(id=pod.id)))[0].state == cri.PodSandboxState.SANDBOX_NOTREADY
    for _ in range(2):
        await kubelet.remove_pod(pod)
    assert await kubelet.list_pods(cri.PodSandboxFilter(id=pod.id)) == []


async def test_removing_a_pod_takes_its_running_containers_with_it(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    await kubelet.run(pod, kubelet.container_config(name="one"))
    await kubelet.create(pod, kubelet.container_config(name="two"))
    await kubelet.remove_pod(pod)
    assert await kubelet.list_containers(cri.ContainerFilter(pod_sandbox_id=pod.id)) == []


async def test_the_log_goes_on_in_a_new_file_after_a_rotation(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    script = "i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); sleep 0.005; done"
    container = await kubelet.run(pod, kubelet.container_config(["sh", "-c", script]))
    path = kubelet.path((await kubelet.status(container)).log_path)
    await anyio.sleep(0.3)
    os.rename(path, path + ".1")
    await kubelet.runtime.reopen_container_log(cri.ReopenContainerLogRequest(container_id=container))
    await kubelet.exited(container)
    numbers = []
    for name in (path + ".1", path):
        text = await anyio.Path(name).read_text()
        assert text
        numbers += [int(line.rsplit(" ", 1)[1]) for line in text.splitlines()]
    assert numbers == list(range(300))


async def test_the_log_of_a_silent_container_is_there_as_soon_as_it_has_started(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    assert await kubelet.log(container) == []


async def test_a_pod_tells_the_handler_that_was_asked_for_and_the_other_runtime_runs_it(kubelet: Kubelet) -> None:
    usual, other = await kubelet.run_pod(), await kubelet.run_pod(handler="crun")
    handlers = {pod.id: pod.runtime_handler for pod in await kubelet.list_pods()}
    assert (handlers[usual.id], handlers[other.id]) == ("", "crun")
    container = await kubelet.run(other)
    assert (await kubelet.exec(container, "echo", "by crun")).stdout == b"by crun\n"
