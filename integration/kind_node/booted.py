"""The kind node image as the machine's own root: what its systemd started by itself, and what that serves.

    python3 -m integration.kind_node.booted         in the machine, with the image's own interpreter

Nobody has a hand on the daemons but at one place: `systemctl restart containerd`, as kind does it. Fails at the first
promise that isn't kept.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final

import anyio
from grpclib.client import Channel
from grpclib.exceptions import GRPCError, StreamTerminatedError

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.version import RUNTIME_NAME
from integration.harness.patience import patience
from integration.kind_node.network import SUBNET
from integration.kubelet import BUSYBOX, Kubelet, eventually

IMAGES: Final = "/usr/src/cri-shim/images.tar"  # what a user loads, and the sandbox's
PAUSE: Final = "registry.k8s.io/pause:3.10"

_SOCKET: Final = "/run/containerd/containerd.sock"
_UNITS: Final = ("containerd.service", "cri-shim.socket", "cri-shim.service")
_SLICE: Final = "kubepods.slice"
_UP: Final = 60.0  # seconds, stretched
_COMMAND: Final = 60.0


async def main() -> None:
    """Keep to the order of a node's life: boot, load, run, restart, remove."""
    await eventually(_booted, _UP)
    _started()
    channel = Channel(path=_SOCKET)
    try:
        kubelet = Kubelet(
            cri.RuntimeServiceStub(channel), cri.ImageServiceStub(channel), "/", cgroup_parent=f"/{_SLICE}"
        )
        await _answers(kubelet)
        await _loads(kubelet)
        await _runs(kubelet)
    finally:
        channel.close()


async def _booted() -> bool | None:
    """Everything that the boot wants has been started, or has failed at that."""
    return _said("systemctl", "is-active", "multi-user.target", check=False) == "active" or None


def _started() -> None:
    assert Path("/proc/1/comm").read_text().strip() == "systemd"
    assert Path("/sys/fs/cgroup/cgroup.controllers").exists()
    for unit in _UNITS:
        state = _shown(unit, "ActiveState", "SubState", "UnitFileState", "NRestarts", "Type", "StatusText")
        print(unit, state, flush=True)
        assert (state["ActiveState"], state["UnitFileState"]) == ("active", "enabled")
        assert state.get("NRestarts", "0") == "0"
    shim = _shown("cri-shim.service", "Type", "StatusText", "MainPID")
    assert shim["Type"] == "notify"
    assert shim["StatusText"].startswith("serving")
    assert _said("readlink", f"/proc/{shim['MainPID']}/exe").startswith("/opt/cri-shim/")
    print("failed units:", _said("systemctl", "--failed", "--plain", "--no-legend") or "none", flush=True)


async def _answers(kubelet: Kubelet) -> None:
    version = await kubelet.runtime.version(cri.VersionRequest())
    print(version, flush=True)
    assert version.runtime_name == RUNTIME_NAME
    plugins = [line.split()[:2] for line in _said("ctr", "plugins", "ls").splitlines()]
    assert ["io.containerd.grpc.v1", "containers"] in plugins
    assert ["io.containerd.grpc.v1", "cri"] not in plugins  # so that it is cri-shim who has answered
    status = (await kubelet.runtime.status(cri.StatusRequest())).status
    assert status
    assert {one.type for one in status.conditions if one.status} >= {"RuntimeReady", "NetworkReady"}
    if shutil.which("crictl"):  # it is in kind's image; here, where the host has one
        conditions = json.loads(_said("crictl", "info"))["status"]["conditions"]
        print("crictl info:", {one["type"]: one["status"] for one in conditions}, flush=True)
        assert all(one["status"] for one in conditions if one["type"] in ("RuntimeReady", "NetworkReady"))


async def _loads(kubelet: Kubelet) -> None:
    _said("ctr", "-n", "k8s.io", "images", "import", "--all-platforms", "--snapshotter=overlayfs", IMAGES)
    for name in (PAUSE, BUSYBOX):

        async def known(name: str = name) -> cri.Image | None:
            return await kubelet.image(name)

        assert (await eventually(known)).repo_tags == [name]
    print("images loaded", flush=True)


async def _runs(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod)
    status = (await kubelet.pod_status(pod)).status
    assert status
    assert status.network
    assert ip_address(status.network.ip) in ip_network(SUBNET)
    assert (await kubelet.exec(container, "hostname")).stdout.decode().strip() == pod.config.hostname
    hooked = await kubelet.exec(container, "cat", "/product_uuid")
    assert hooked.stdout == await anyio.Path("/kind/product_uuid").read_bytes()
    scope = anyio.Path(f"/sys/fs/cgroup/{_SLICE}/cri-containerd-{container}.scope")
    process = (await (scope / "cgroup.procs").read_text()).split()
    assert len(process) == 1
    print("a pod runs at", status.network.ip, "in", scope, flush=True)

    before = {unit: _shown(unit, "MainPID")["MainPID"] for unit in _UNITS[::2]}
    _said("systemctl", "restart", "containerd.service")

    async def serves() -> cri.VersionResponse | None:
        try:
            return await kubelet.runtime.version(cri.VersionRequest())
        except (GRPCError, StreamTerminatedError, OSError):  # who is behind the socket starts again
            return None

    await eventually(serves, _UP)
    assert all(_shown(unit, "MainPID")["MainPID"] != pid for unit, pid in before.items())
    assert [one.id for one in await kubelet.list_pods()] == [pod.id]
    assert (await kubelet.status(container)).state == cri.ContainerState.CONTAINER_RUNNING
    assert (await (scope / "cgroup.procs").read_text()).split() == process
    assert (await kubelet.exec(container, "echo", "still")).stdout == b"still\n"
    print("and has outlived containerd's restart", flush=True)

    await kubelet.stop(container)
    assert (await kubelet.status(container)).state == cri.ContainerState.CONTAINER_EXITED
    await kubelet.remove(container)
    await kubelet.remove_all()
    assert await kubelet.list_pods() == []
    assert await kubelet.list_containers() == []
    assert not await scope.exists()
    assert _said("ctr", "-n", "k8s.io", "containers", "ls", "--quiet") == ""
    assert {_shown(unit, "ActiveState")["ActiveState"] for unit in _UNITS} == {"active"}
    print("stopped and removed, with nothing left", flush=True)


def _shown(unit: str, *properties: str) -> dict[str, str]:
    lines = _said("systemctl", "show", f"--property={','.join(properties)}", unit).splitlines()
    return dict(line.split("=", 1) for line in lines)


def _said(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=patience(_COMMAND))
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


if __name__ == "__main__":
    try:
        anyio.run(main)
    except BaseException:
        journal = ["journalctl", "--no-pager", "--lines=30", "--output=short-monotonic"]
        subprocess.run([*journal, *(f"--unit={unit}" for unit in _UNITS[1:])], check=False, stdout=sys.stderr)
        raise
