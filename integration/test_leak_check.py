"""The leak check finds what it is there to find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration.harness.leaks import Baseline
from integration.harness.traces import Tracer

if TYPE_CHECKING:
    from integration.harness.containerd import Containerd
    from integration.kubelet import Kubelet

pytestmark = pytest.mark.anyio


async def test_a_pod_is_seen_in_every_kind_of_trace_and_is_gone_when_removed(
    kubelet: Kubelet, containerd: Containerd
) -> None:
    baseline = await Baseline.take(Tracer(containerd))
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod)
    found = await baseline.difference(within=0)
    kinds = {line.rstrip(":") for line in found.splitlines() if not line.startswith(" ")}
    assert kinds >= {
        "CNI results",
        "FIFOs",
        "addresses",
        "cgroups",
        "containers",
        "directories",
        "mounts",
        "network interfaces",
        "network namespaces",
        "packet filter rules",
        "processes",
        "sandboxes",
        "snapshots",
        "tasks",
    }
    assert container in found
    assert pod.id in found
    await kubelet.remove_pod(pod)
    assert await baseline.difference() == ""


async def test_what_is_made_past_the_cri_is_seen(containerd: Containerd) -> None:
    baseline = await Baseline.take(Tracer(containerd))
    lease = containerd.ctr("leases", "create", "forgotten").strip()
    containerd.node.run(["mkdir", "-p", "/run/netns/forgotten"])
    containerd.node.run(["mkfifo", "/run/forgotten"])
    process = containerd.node.popen(["sleep", "1000"])
    assert process.program
    found = await baseline.difference(within=0)
    for text in (
        f"leases:\n  + {lease}",
        "network namespaces:\n  + forgotten",
        "FIFOs:\n  + run/forgotten",
        "sleep 1000",
    ):
        assert text in found
    process.kill()
    process.wait()
    containerd.ctr("leases", "delete", lease)
    containerd.node.run(["rmdir", "/run/netns/forgotten"])
    containerd.node.run(["rm", "/run/forgotten"])
    assert await baseline.difference() == ""
