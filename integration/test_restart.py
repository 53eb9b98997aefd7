"""cri-shim restarted in the middle, gracefully and by `kill -9`: everything is still there and can be finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread
from grpclib import GRPCError

from cri_shim.api.runtime import v1 as cri
from integration.harness.leaks import Baseline
from integration.harness.traces import Tracer
from integration.kubelet import Kubelet, eventually
from integration.restarts import restart

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode
    from integration.harness.containerd import Containerd

pytestmark = [pytest.mark.anyio, pytest.mark.shim_only]

COUNTING = ["sh", "-c", "i=0; until [ -e /enough ]; do echo $i; i=$((i+1)); sleep 0.01; done; echo $i; exit 7"]


@pytest.mark.parametrize("how", ["graceful", "kill -9"])
async def test_pods_and_containers_in_every_state_are_as_they_were(
    kubelet: Kubelet, running: RunningNode, how: str
) -> None:
    pod, stopped = await kubelet.run_pod(), await kubelet.run_pod()
    created = await kubelet.create(pod, kubelet.container_config(name="created"))
    alive = await kubelet.run(pod, kubelet.container_config(name="alive"))
    ended = await kubelet.run(pod, kubelet.container_config(["sh", "-c", "exit 3"], "ended"))
    await kubelet.exited(ended)
    failed = await kubelet.create(pod, kubelet.container_config(["/no/such/command"], "failed"))
    with pytest.raises(GRPCError):
        await kubelet.start(failed)
    await kubelet.stop_pod(stopped)
    containers = (created, alive, ended, failed)
    before = [await kubelet.status(item) for item in containers]
    pods_before = [(await kubelet.pod_status(item)).status for item in (pod, stopped)]
    await restart(running, how)
    assert [await kubelet.status(item) for item in containers] == before
    assert [(await kubelet.pod_status(item)).status for item in (pod, stopped)] == pods_before
    await kubelet.start(created)
    assert (await kubelet.exec(alive, "echo", "still here")).stdout == b"still here\n"
    await kubelet.stop(alive)
    assert (await kubelet.status(alive)).exit_code == 137


@pytest.mark.parametrize("how", ["graceful", "kill -9"])
async def test_a_log_goes_on_where_it_was(kubelet: Kubelet, running: RunningNode, how: str) -> None:
    container = await kubelet.run(await kubelet.run_pod(), kubelet.container_config(COUNTING))
    await anyio.sleep(1)
    before = len(await kubelet.log(container))
    await restart(running, how)
    await kubelet.exec(container, "touch", "/enough")  # it lives on until then, however long the restart takes
    status = await kubelet.exited(container)
    assert status.exit_code == 7
    numbers = [int(line.rsplit(" ", 1)[1]) for line in await kubelet.log(container)]
    assert numbers == list(range(len(numbers))), "a line was written twice, out of order, or not at all"
    assert len(numbers) > before > 0


async def test_a_container_that_ends_meanwhile_ends_with_its_own_code(kubelet: Kubelet, running: RunningNode) -> None:
    script = "sleep 1.5; exit 9"
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod, kubelet.container_config(["sh", "-c", script]))
    limit = cri.LinuxContainerConfig(resources=cri.LinuxContainerResources(memory_limit_in_bytes=16 << 20))
    script = "sleep 1; exec tail -c 200000000 /dev/zero"
    greedy = await kubelet.run(pod, kubelet.container_config(["sh", "-c", script], "greedy", linux=limit))
    assert running.shim is not None
    await to_thread.run_sync(running.shim.daemon.kill)
    await anyio.sleep(2.5)
    await to_thread.run_sync(running.shim.daemon.start)
    assert (await kubelet.exited(greedy)).reason == "OOMKilled"
    # What it wrote is gone: with its process the shim closes both ends of the FIFO, and nobody else had it open.
    status = await kubelet.exited(container)
    assert status.exit_code == 9
    assert status.created_at < status.started_at < status.finished_at


async def test_a_name_is_still_taken_and_free_again_after_its_pod_is_removed(
    kubelet: Kubelet, running: RunningNode
) -> None:
    config = kubelet.pod_config()
    pod = await kubelet.run_pod(config)
    await restart(running, "kill -9")
    assert (await kubelet.run_pod(config)).id == pod.id
    kubelet.pods.pop()
    await kubelet.remove_pod(pod)
    again = await kubelet.run_pod(config)
    assert again.id != pod.id


@pytest.mark.leaves_traces  # looks for itself: at its start containerd removes what it had forgotten of other pods
async def test_containerd_may_restart_under_a_running_pod(
    kubelet: Kubelet, running: RunningNode, containerd: Containerd
) -> None:
    baseline = await Baseline.take(Tracer(containerd))
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod)
    ending = await kubelet.run(pod, kubelet.container_config(["sh", "-c", "sleep 1; exit 4"], "ending"))
    await to_thread.run_sync(running.containerd.daemon.kill)
    assert (await kubelet.status(container)).state == cri.ContainerState.CONTAINER_RUNNING
    await anyio.sleep(1.2)
    await to_thread.run_sync(running.containerd.daemon.start)
    # containerd itself forgets the exit of a task that ended while it was down ("cleaning leaked shim process")
    assert (await kubelet.exited(ending)).exit_code in (4, 255)

    async def works() -> bool | None:
        return (await kubelet.exec(container, "true")).exit_code == 0 or None

    assert await eventually(works)
    await kubelet.remove_all()
    left = await baseline.difference()
    assert [line for line in left.splitlines() if line.lstrip().startswith("+")] == []
