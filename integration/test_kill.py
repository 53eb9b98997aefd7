"""`kill -9` in the middle of every verb: after the next start and the kubelet's clean-up, nothing is left.

The moments are spread over the whole of each call, so that over the series every step is hit. What a kill leaves behind
is counted by the leak check of the `kubelet` fixture: tasks, containers, snapshots, sandboxes, leases, namespaces,
mounts, addresses, cgroups, directories, FIFOs, processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration.harness.leaks import Baseline
from integration.harness.traces import Tracer
from integration.restarts import killed_during

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode
    from integration.harness.containerd import Containerd
    from integration.kubelet import Kubelet, Pod

pytestmark = [pytest.mark.anyio, pytest.mark.shim_only]

SHIM = "containerd-shim-runc-v2"
MOMENTS = [0.002 + 0.013 * step for step in range(12)]  # seconds after a call begins; a start takes about 0.15


@pytest.mark.parametrize("after", MOMENTS)
async def test_a_pod_whose_start_was_killed_can_be_started_and_removed(
    kubelet: Kubelet, running: RunningNode, after: float
) -> None:
    config = kubelet.pod_config()
    await killed_during(running, lambda: kubelet.run_pod(config), after)
    pod = await kubelet.run_pod(config)
    await kubelet.run(pod)
    await kubelet.clean_up()


@pytest.mark.parametrize("after", MOMENTS[::2])
async def test_a_container_whose_creation_and_start_were_killed_goes_with_its_pod(
    kubelet: Kubelet, running: RunningNode, after: float
) -> None:
    pod = await kubelet.run_pod()
    await killed_during(running, lambda: kubelet.run(pod), after)
    await kubelet.run(pod, kubelet.container_config(name="another"))
    await kubelet.clean_up()


@pytest.mark.leaves_traces  # looks for itself: containerd's own part of a Tasks.Delete that is cut off may stay
@pytest.mark.parametrize("after", MOMENTS[::2])
async def test_a_pod_whose_removal_was_killed_can_be_removed(
    kubelet: Kubelet, running: RunningNode, containerd: Containerd, after: float
) -> None:
    """All that is left, if anything, is the bundle that containerd forgot, until containerd itself starts again."""
    baseline = await Baseline.take(Tracer(containerd))
    pod = await kubelet.run_pod()
    await kubelet.run(pod)

    async def removal(pod: Pod = pod) -> None:
        await kubelet.stop_pod(pod)
        await kubelet.remove_pod(pod)

    await killed_during(running, removal, after)
    await kubelet.clean_up()
    left = [line for line in (await baseline.difference()).splitlines() if line.lstrip().startswith("+")]
    assert [line for line in left if "io.containerd.runtime.v2.task" not in line and SHIM not in line] == []


async def test_an_exec_that_was_killed_leaves_nothing(kubelet: Kubelet, running: RunningNode) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    await killed_during(running, lambda: kubelet.exec(container, "sleep", "2"), 0.3)
    assert (await kubelet.exec(container, "true")).exit_code == 0
    await kubelet.clean_up()
