"""Stats beside containerd's: of the same containers at rest, cri-shim and the plugin tell the same."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from anyio import to_thread
from grpclib.client import Channel

from cri_shim.api.runtime import v1 as cri
from cri_shim.config.migrate import CRI
from integration.harness import probes
from integration.harness.assembly import running_node
from integration.harness.containerd import MAIN
from integration.harness.daemon import Daemon
from integration.kubelet import BUSYBOX, Kubelet, eventually
from integration.test_stats import MIB, PARENT, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration.harness.assembly import RunningNode

pytestmark = [pytest.mark.anyio, pytest.mark.shim_only, pytest.mark.timeout(180)]  # it asks both by itself

WORK = (
    f"head -c {8 * MIB} /dev/urandom > /big; ping -c 3 -s 4000 $(ip route | awk '/default/ {{print $3}}'); touch /done"
)
PAGES = 64 * 4096  # bytes that come and go in a container at rest
MOMENT = 5_000_000  # ns of CPU, as much
PACKETS = 2000  # bytes: an ARP or two


@pytest.fixture(scope="module")
def resting() -> Iterator[RunningNode]:
    with running_node() as running:
        yield running


def kubelet_at(running: RunningNode, channel: Channel) -> Kubelet:
    return Kubelet(cri.RuntimeServiceStub(channel), cri.ImageServiceStub(channel), str(running.node.root))


def container_figures(stats: cri.ContainerStats) -> dict[str, tuple[int, int]]:
    """Each figure with by how much it may move meanwhile; that the kernel keeps no figure is one, too."""
    assert stats.cpu
    assert stats.memory
    assert stats.writable_layer
    return {
        "cpu": (number(stats.cpu.usage_core_nano_seconds), MOMENT),
        "working set": (number(stats.memory.working_set_bytes), PAGES),
        "usage": (number(stats.memory.usage_bytes), PAGES),
        "rss": (number(stats.memory.rss_bytes), PAGES),
        "page faults": (number(stats.memory.page_faults), 100),
        "major page faults": (number(stats.memory.major_page_faults), 10),
        "written": (number(stats.writable_layer.used_bytes), 0),
        "inodes": (number(stats.writable_layer.inodes_used), 0),
    }


def pod_figures(stats: cri.LinuxPodSandboxStats) -> dict[str, tuple[int, int]]:
    assert stats.cpu
    assert stats.memory
    assert stats.network
    eth0 = stats.network.default_interface
    assert eth0
    return {
        "pod's cpu": (number(stats.cpu.usage_core_nano_seconds), 4 * MOMENT),
        "pod's working set": (number(stats.memory.working_set_bytes), 4 * PAGES),
        "received": (number(eth0.rx_bytes), PACKETS),
        "sent": (number(eth0.tx_bytes), PACKETS),
        "receive errors": (number(eth0.rx_errors), 0),
        "processes": (number(stats.process.process_count if stats.process else None), 0),
    }


async def told(kubelet: Kubelet, pod: str, container: str) -> dict[str, tuple[int, int]]:
    """What an endpoint tells, once it has looked at what was written."""

    async def complete() -> dict[str, tuple[int, int]] | None:
        answer = await kubelet.runtime.container_stats(cri.ContainerStatsRequest(container_id=container))
        of_pod = await kubelet.runtime.pod_sandbox_stats(cri.PodSandboxStatsRequest(pod_sandbox_id=pod))
        assert of_pod.stats
        assert of_pod.stats.linux
        stats = answer.stats
        ready = stats and stats.cpu and stats.writable_layer and number(stats.writable_layer.used_bytes) >= 8 * MIB
        return container_figures(stats) | pod_figures(of_pod.stats.linux) if stats and ready else None

    return await eventually(complete, 30)


async def test_of_the_same_containers_the_same_is_told_as_by_containerds_own(resting: RunningNode) -> None:
    shim, node = resting.shim, resting.node
    assert shim
    with closing(Channel(path=str(shim.socket))) as channel:
        kubelet = kubelet_at(resting, channel)
        await kubelet.pull(BUSYBOX)
        config = kubelet.pod_config()
        assert config.linux
        config.linux.cgroup_parent = PARENT
        pod = await kubelet.run_pod(config)
        command = ["sh", "-c", f"{WORK}; sleep 100000"]
        container = await kubelet.run(pod, kubelet.container_config(command))

        async def at_rest() -> bool | None:
            return (await kubelet.exec(container, "test", "-e", "/done")).exit_code == 0 or None

        await eventually(at_rest, 30)
        ours = await told(kubelet, pod.id, container)
    await to_thread.run_sync(shim.daemon.stop)
    await to_thread.run_sync(resting.containerd.daemon.stop)
    configuration = node.path(MAIN.config)
    configuration.write_text(configuration.read_text().replace(f"disabled_plugins = ['{CRI}']\n", ""))
    theirs = Daemon(node, ["containerd"], MAIN.log, lambda: probes.serves_cri(resting.containerd.socket))
    await to_thread.run_sync(theirs.start)
    try:
        with closing(Channel(path=str(resting.containerd.socket))) as channel:
            plugin = kubelet_at(resting, channel)
            found = await told(plugin, pod.id, container)
            plugin.pods.append(pod)
            await plugin.remove_all()
    finally:
        await to_thread.run_sync(theirs.stop)
    differing = {
        name: (value, found[name][0])
        for name, (value, margin) in ours.items()
        if found[name][0] != -1 and abs(value - found[name][0]) > margin  # what containerd doesn't tell is ours alone
    }
    assert differing == {}
    assert sum(value != -1 for value, _ in found.values()) > len(found) / 2
