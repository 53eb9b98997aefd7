"""What a handler's options, and settings of all, make of a container's process: as it finds itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from grpclib import GRPCError
from grpclib.const import Status

from cri_shim.api.runtime import v1 as cri
from integration.harness.containerd import MAIN, PEER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet

pytestmark = pytest.mark.anyio

BASE_FILE = "/etc/containerd/base-of-tests.json"
BASE: dict[str, Any] = {
    "ociVersion": "1.1.0",
    "process": {
        "user": {"uid": 0, "gid": 0, "umask": 0o27},
        "env": ["OF_BASE=1"],
        "cwd": "/",
        "rlimits": [
            {"type": "RLIMIT_NOFILE", "hard": 512, "soft": 256},
            {"type": "RLIMIT_CORE", "hard": 0, "soft": 0},
        ],
        "capabilities": {name: ["CAP_KILL", "CAP_CHOWN"] for name in ("bounding", "effective", "permitted")},
    },
    "root": {"path": "rootfs"},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
        {"destination": "/of-base", "type": "tmpfs", "source": "tmpfs", "options": ["size=4m"]},
    ],
    "linux": {
        "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")],
        "resources": {"devices": [{"allow": False, "access": "rwm"}], "pids": {"limit": 37}},
    },
}
TABLE = "[plugins.'io.containerd.cri.v1.runtime']"
RUNTIMES = "plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes"
HANDLERS = f"""
[{RUNTIMES}.based]
  runtime_type = 'io.containerd.runc.v2'
  base_runtime_spec = '{BASE_FILE}'
[{RUNTIMES}.deviceless]
  runtime_type = 'io.containerd.runc.v2'
  privileged_without_host_devices = true
[{RUNTIMES}.allowed]
  runtime_type = 'io.containerd.runc.v2'
  privileged_without_host_devices = true
  privileged_without_host_devices_all_devices_allowed = true
[{RUNTIMES}.whole]
  runtime_type = 'io.containerd.runc.v2'
  sandboxer = 'shim'
[{RUNTIMES}.elsewhere]
  runtime_type = 'io.containerd.runc.v2'
  pod_annotations = ['pod.example/*']
  container_annotations = ['container.example/*']
  [{RUNTIMES}.elsewhere.options]
    Root = '/run/elsewhere'
    BinaryName = '/usr/bin/crun'
"""


@pytest.fixture(scope="module", autouse=True)
def configured(running: RunningNode) -> Iterator[None]:
    """A node whose endpoint knows these handlers, too."""
    endpoint, place = (running.shim, MAIN) if running.shim else (running.peer, PEER)
    assert endpoint
    usual = running.node.path(place.config).read_text()
    running.node.write(BASE_FILE, json.dumps(BASE))
    owned = usual.replace(TABLE, f"{TABLE}\n  device_ownership_from_security_context = true")
    running.node.write(place.config, owned + HANDLERS)
    endpoint.daemon.restart()
    yield
    running.node.write(place.config, usual)
    endpoint.daemon.restart()


async def says(kubelet: Kubelet, container: str, script: str) -> list[str]:
    answer = await kubelet.exec(container, "sh", "-c", script)
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout.decode().split()


async def privileged(kubelet: Kubelet, handler: str, **fields: Any) -> str:
    sandbox = cri.LinuxPodSandboxConfig(security_context=cri.LinuxSandboxSecurityContext(privileged=True))
    context = cri.LinuxContainerSecurityContext(privileged=True)
    pod = await kubelet.run_pod(kubelet.pod_config(linux=sandbox), handler=handler)
    linux = cri.LinuxContainerConfig(security_context=context)
    return await kubelet.run(pod, kubelet.container_config(linux=linux, **fields))


async def test_a_base_spec_gives_what_the_cri_has_no_words_for(kubelet: Kubelet) -> None:
    container = await kubelet.run(
        await kubelet.run_pod(handler="based"),
        kubelet.container_config(["sh", "-c", "umask > /umask; exec sleep 1000"]),
    )
    assert await says(kubelet, container, "cat /umask; echo $OF_BASE; ulimit -Sn; ulimit -Hn; ulimit -c") == [
        "0027", "1", "256", "512", "0",
    ]  # fmt: skip
    assert await says(kubelet, container, "df -k /of-base | tail -1 | tr -s ' ' | cut -d' ' -f2") == ["4096"]
    status = await says(kubelet, container, "grep ^CapBnd /proc/self/status")
    assert int(status[1], 16) == 1 << 0 | 1 << 5, "a set of its own: CAP_CHOWN, CAP_KILL"
    pids = await says(kubelet, container, "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; true")
    assert pids == ["37"]


async def test_a_privileged_container_has_the_nodes_devices_as_its_handler_says(kubelet: Kubelet) -> None:
    """Whether they are there, and whether one that is made may be used."""
    probe = "ls /dev/fuse /dev/net/tun 2>/dev/null | wc -l; mknod /x c 1 5 && head -c 1 /x | wc -c"
    assert await says(kubelet, await privileged(kubelet, ""), probe) == ["2", "1"]
    assert await says(kubelet, await privileged(kubelet, "allowed"), probe) == ["0", "1"]
    without = (
        "ls /dev/fuse /dev/net/tun 2>/dev/null | wc -l; mknod /x c 10 229; (: < /x) 2>&1 | grep -c permitted; true"
    )
    assert await says(kubelet, await privileged(kubelet, "deviceless"), without) == ["0", "1"]


async def test_a_devices_owner_is_the_user_where_it_is_so_configured(kubelet: Kubelet) -> None:
    context = cri.LinuxContainerSecurityContext(
        run_as_user=cri.Int64Value(value=1234), run_as_group=cri.Int64Value(value=56)
    )
    device = cri.Device(container_path="/dev/mine", host_path="/dev/null", permissions="rw")
    linux = cri.LinuxContainerConfig(security_context=context)
    container = await kubelet.run(await kubelet.run_pod(), kubelet.container_config(linux=linux, devices=[device]))
    assert await says(kubelet, container, "stat -c %u:%g /dev/mine") == ["1234:56"]


async def test_a_runtimes_directory_is_the_handlers_and_annotations_reach_it(
    kubelet: Kubelet, running: RunningNode
) -> None:
    config = kubelet.pod_config()
    config.annotations |= {"pod.example/a": "1", "other.example/a": "2"}
    pod = await kubelet.run_pod(config, handler="elsewhere")
    annotations = {"container.example/b": "3", "other.example/b": "4"}
    container = await kubelet.run(pod, kubelet.container_config(annotations=annotations))
    state = json.loads(running.node.run(["crun", "--root", "/run/elsewhere/k8s.io", "state", container]).stdout)
    assert state["status"] == "running"
    given = {key: value for key, value in state["annotations"].items() if ".example/" in key}
    assert given == {"pod.example/a": "1", "container.example/b": "3"}


async def test_a_pod_that_its_shim_should_run_is_refused(kubelet: Kubelet, endpoint: str) -> None:
    """As runc's shim has no sandbox API: containerd tries, and fails."""
    with pytest.raises(GRPCError) as refused:
        await kubelet.run_pod(handler="whole")
    if endpoint == "shim":
        assert refused.value.status is Status.UNIMPLEMENTED
        assert 'runtime handler "whole" is configured with sandboxer = "shim"' in (refused.value.message or "")


async def test_sysctls_are_the_pods_and_low_ports_and_pings_are_for_everybody(kubelet: Kubelet) -> None:
    config = kubelet.pod_config(linux=cri.LinuxPodSandboxConfig(sysctls={"net.core.somaxconn": "77"}))
    pod = await kubelet.run_pod(config)
    context = cri.LinuxContainerSecurityContext(
        run_as_user=cri.Int64Value(value=1000), capabilities=cri.Capability(drop_capabilities=["ALL"])
    )
    linux = cri.LinuxContainerConfig(security_context=context)
    container = await kubelet.run(pod, kubelet.container_config(linux=linux))
    names = ("core/somaxconn", "ipv4/ip_unprivileged_port_start", "ipv4/ping_group_range")
    files = " ".join(f"/proc/sys/net/{name}" for name in names)
    assert await says(kubelet, container, f"cat {files}") == ["77", "0", "0", "2147483647"]
    probe = "nc -l -p 80 & sleep 0.3; cat /proc/net/tcp /proc/net/tcp6 | grep -c :0050; kill $!"
    assert await says(kubelet, container, probe) == ["1"], "somebody listens at port 80"


async def test_a_pods_cgroup_is_below_the_parent_that_is_asked_for(kubelet: Kubelet, running: RunningNode) -> None:
    parent = "/kubepods/burstable/pod-of-tests"
    pod = await kubelet.run_pod(kubelet.pod_config(linux=cri.LinuxPodSandboxConfig(cgroup_parent=parent)))
    container = await kubelet.run(pod)
    found = running.node.run(["sh", "-c", f"grep -h {container} /proc/[0-9]*/cgroup | cut -d: -f3 | sort -u"]).stdout
    assert found.split() == [f"{parent}/{container}"]
