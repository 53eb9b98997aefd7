"""What the kubelet tells of usage: the summary that evictions are decided by, and metrics."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from integration.standalone_kubelet.manifest import Container, Mount, Pod
from integration.standalone_kubelet.standalone import eventually, full_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration.standalone_kubelet.answers import PodUsage
    from integration.standalone_kubelet.standalone import StandaloneKubelet

MIB: Final = 1 << 20
SCRIPT: Final = (
    f"head -c {8 * MIB} /dev/zero >/big; head -c {4 * MIB} /dev/zero >/data/big; "
    "i=0; while [ $i -lt 500 ]; do i=$((i+1)); printf '%0100d\\n' $i; done; "
    "ping -c 2 $(ip route | awk '/default/ {print $3}') >/dev/null; "
    f"head -c {24 * MIB} /dev/zero | tail | sleep 100000 & while :; do :; done"
)
FROM_CRI: Final = {"featureGates": {"PodAndContainerStatsFromCRI": True}}


def busy(name: str) -> Pod:
    """A pod that uses something of everything."""
    main = Container(script=SCRIPT, volume_mounts=(Mount(name="data", mount_path="/data"),))
    idle = Container(name="idle", script="exec sleep 100000")
    return Pod(name=name, containers=(main, idle), volumes=({"name": "data", "emptyDir": {}},))


def used(kubelet: StandaloneKubelet, name: str) -> PodUsage:
    """A busy pod's usage, once all of it is there; what isn't is said."""
    lacks: list[str] = []

    def whole() -> PodUsage | None:
        lacks[:] = ["the pod"]
        try:
            pod = kubelet.summary().pod(full_name(name))
            main, idle = pod.container(), pod.container("idle")
        except KeyError:
            return None
        wanted = {
            "CPU": (main.cpu.usage_nano_cores or 0) > 100_000_000 and (main.cpu.usage_core_nano_seconds or 0) > 10**9,
            "idle CPU": 0 <= (idle.cpu.usage_nano_cores or 0) < 50_000_000 and idle.cpu.usage_core_nano_seconds,
            "memory": (main.memory.working_set_bytes or 0) > 20 * MIB and (main.memory.rss_bytes or 0) > 20 * MIB,
            "idle memory": 0 < (idle.memory.working_set_bytes or 0) < 8 * MIB,
            "writable layer": (main.rootfs.used_bytes or 0) >= 8 * MIB and (main.rootfs.inodes_used or 0) >= 1,
            "idle writable layer": 0 < (idle.rootfs.used_bytes or 0) < MIB,
            "log": (main.logs.used_bytes or 0) >= 50_000,
            "pod's CPU": (pod.cpu.usage_nano_cores or 0) > 100_000_000,
            "pod's memory": (pod.memory.working_set_bytes or 0) > 20 * MIB,
            "network": pod.network.name == "eth0" and (pod.network.rx_bytes or 0) > 0,
            "volume": any(one.name == "data" and (one.used_bytes or 0) >= 4 * MIB for one in pod.volume),
            "ephemeral storage": (pod.ephemeral_storage.used_bytes or 0) >= 12 * MIB,
            "processes": (pod.process_stats.process_count or 0) >= 4,
        }
        lacks[:] = [kind for kind, there in wanted.items() if not there]
        return None if lacks else pod

    return eventually(whole, 90, lambda: f"the summary lacks {', '.join(lacks)}")


@pytest.mark.parametrize(
    "from_cri",
    [False, pytest.param(True, marks=pytest.mark.shim_only)],  # containerd's plugin has no rate for a pod's CPU time
    ids=["cadvisor", "CRI"],
)
def test_what_a_pod_uses_is_told(
    kubelet: StandaloneKubelet, reconfigured: Callable[..., None], *, from_cri: bool
) -> None:
    if from_cri:
        reconfigured(**FROM_CRI)
    name = "used-cri" if from_cri else "used"
    kubelet.runs(busy(name))
    pod = used(kubelet, name)
    containers = [pod.container(), pod.container("idle")]
    assert sum(one.memory.working_set_bytes or 0 for one in containers) <= (pod.memory.working_set_bytes or 0) * 1.2
    node = kubelet.summary().node
    for file_system in (node.fs, node.runtime.image_fs):
        assert file_system
        assert (file_system.capacity_bytes or 0) > (file_system.available_bytes or 0) > 0
    assert node.runtime.image_fs
    assert (node.runtime.image_fs.used_bytes or 0) > 0


def test_what_a_pod_uses_is_in_the_metrics_of_resources(kubelet: StandaloneKubelet) -> None:
    kubelet.runs(busy("resources"))
    labels = f'container="main",namespace="default",pod="{full_name("resources")}"'
    wanted = ("container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "container_start_time_seconds")
    eventually(lambda: all(value(kubelet, "resource", name, labels) for name in wanted) or None, 60)


@pytest.mark.parametrize(
    "from_cri",
    [False, pytest.param(True, marks=pytest.mark.shim_only)],  # containerd's plugin tells no metrics of pods before 2.2
    ids=["cadvisor", "CRI"],
)
def test_a_container_is_in_the_metrics_of_cadvisor(
    kubelet: StandaloneKubelet, reconfigured: Callable[..., None], *, from_cri: bool
) -> None:
    if from_cri:
        reconfigured(**FROM_CRI)
    name = "metrics-cri" if from_cri else "metrics"
    kubelet.runs(busy(name))
    wanted = {
        "container_cpu_usage_seconds_total": 1.0,
        "container_memory_working_set_bytes": 20.0 * MIB,
        "container_memory_rss": 20.0 * MIB,
        "container_processes": 1.0,
        "container_start_time_seconds": 1.0,
    }

    def there() -> bool | None:
        text = kubelet.metrics("/metrics/cadvisor")
        samples = {one: sample(text, one, f'pod="{full_name(name)}"', 'container="main"') for one in wanted}
        missing[:] = [one for one, found in samples.items() if found is None or found < wanted[one]]
        return not missing or None

    missing: list[str] = []
    eventually(there, 60, lambda: f"missing: {missing}")


def value(kubelet: StandaloneKubelet, path: str, name: str, labels: str) -> float | None:
    return sample(kubelet.metrics(f"/metrics/{path}"), name, labels)


def sample(text: str, name: str, *labels: str) -> float | None:
    """A sample's value, by what its labels contain; the greatest of several."""
    found = [
        float(line.rpartition("}")[2].split()[0])
        for line in text.splitlines()
        if re.match(rf"{name}\{{", line) and all(label in line for label in labels)
    ]
    return max(found, default=None)
