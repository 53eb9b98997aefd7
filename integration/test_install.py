"""`cri-shim install` on a real system: systemd and containerd take what it writes, the node serves by it; and back."""

from __future__ import annotations

import tomllib
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from grpclib.client import Channel

from cri_shim.api.runtime import v1 as cri
from cri_shim.config.migrate import CRI
from integration.harness import probes, service_manager
from integration.harness.assembly import running_node
from integration.harness.containerd import MAIN
from integration.harness.daemon import Daemon
from integration.harness.shim import Shim
from integration.kubelet import Kubelet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration.harness.assembly import RunningNode
    from integration.harness.node import Node

pytestmark = [pytest.mark.anyio, pytest.mark.shim_only]

COMMAND = "/usr/local/bin/cri-shim"
UNITS = ("/etc/systemd/system/cri-shim.service", "/etc/systemd/system/cri-shim.socket")
OWN = "/run/containerd/containerd-own.sock"
MODES = {"own socket": (), "drop-in": ("--drop-in",)}
LEGACY = f"""version = 2
# kept
[plugins."{CRI}"]
  sandbox_image = "registry.k8s.io/pause:3.10"
[plugins."{CRI}".containerd]
  snapshotter = "overlayfs"
"""
IMPORTING = "version = 3\nimports = ['/etc/containerd/conf.d/*.toml']\n"
FILES = {
    "version 2": {"/etc/containerd/config.toml": LEGACY},
    "version 3, imports": {"/etc/containerd/config.toml": IMPORTING},
    "nothing": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def fresh() -> Iterator[RunningNode]:
    """A node with containerd, in which cri-shim is only a command so far."""
    with running_node(shim=False) as running:
        shim = Shim(running.node)
        variables = " ".join(f"{name}={value}" for name, value in shim.daemon.environment.items())
        running.node.write(COMMAND, f'#!/bin/sh\nexec env {variables} {" ".join(shim.daemon.argv[:3])} "$@"\n', 0o755)
        yield running


def everything(node: Node, *directories: str) -> str:
    """All files below, with their modes and what is in them."""
    listing = 'find "$@" -printf "%p %y %m %l\\n" -type f -exec md5sum {} ";" | sort'
    return node.run(["sh", "-c", listing, "sh", *directories]).stdout


@pytest.mark.parametrize("mode", [*MODES.values()], ids=[*MODES])
def test_systemd_finds_nothing_wrong_with_the_units(fresh: RunningNode, mode: tuple[str, ...]) -> None:
    before = everything(fresh.node, "/etc")
    fresh.node.run([COMMAND, "install", "--apply", "--root", "/", "--executable", COMMAND, *mode])
    verified = fresh.node.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *UNITS], check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    fresh.node.run([COMMAND, "uninstall", "--apply", "--root", "/"])
    assert everything(fresh.node, "/etc") == before


@pytest.mark.parametrize("files", [*FILES.values()], ids=[*FILES])
@pytest.mark.parametrize("mode", [*MODES.values()], ids=[*MODES])
def test_containerd_reads_what_was_meant(fresh: RunningNode, mode: tuple[str, ...], files: dict[str, str]) -> None:
    fresh.node.run(["sh", "-c", "rm -rf /image; mkdir /image"])
    for path, text in files.items():
        fresh.node.write(f"/image{path}", text)
    fresh.node.run([COMMAND, "install", "--apply", "--root", "/image", *mode])
    for path in files:  # containerd's imports are of its own system: here they are below /image
        written = fresh.node.path(f"/image{path}")
        written.write_text(written.read_text().replace("'/etc/", "'/image/etc/"))
    dumped = fresh.node.run(["containerd", "--config", "/image/etc/containerd/config.toml", "config", "dump"]).stdout
    read = tomllib.loads(dumped)
    assert read["disabled_plugins"] == [CRI]
    moved = mode == MODES["drop-in"]
    assert read["grpc"]["address"] == (OWN if moved else MAIN.socket)
    assert read["ttrpc"]["address"] in (f"{MAIN.socket}.ttrpc", *(() if moved else ("",)))


def test_a_containerd_that_will_not_do_is_refused_before_anything_is_changed(fresh: RunningNode) -> None:
    configuration = fresh.node.path(MAIN.config)
    before = configuration.read_text()
    configuration.write_text(before.replace(f"['{CRI}']", f"['{CRI}', 'io.containerd.grpc.v1.transfer']"))
    try:
        fresh.containerd.daemon.restart()
        files = everything(fresh.node, "/etc")
        refused = fresh.node.run([COMMAND, "install", "--apply"], check=False)
        assert (refused.returncode, everything(fresh.node, "/etc")) == (1, files)
        assert "its plugin io.containerd.grpc.v1.transfer is missing: take it out of disabled_plugins" in refused.stderr
    finally:
        configuration.write_text(before)
        fresh.containerd.daemon.restart()


def test_a_containerd_whose_own_cri_is_on_is_warned_of(fresh: RunningNode) -> None:
    configuration, shim = fresh.node.path(MAIN.config), Shim(fresh.node)
    before = configuration.read_text()
    configuration.write_text(before.replace(f"disabled_plugins = ['{CRI}']\n", ""))
    try:
        fresh.containerd.daemon.restart()
        with shim.daemon:
            assert f"put {CRI} into its disabled_plugins" in shim.daemon.log_text()
    finally:
        configuration.write_text(before)
        fresh.containerd.daemon.restart()


async def test_a_node_is_switched_over_as_a_drop_in_with_its_pods_running_and_back(fresh: RunningNode) -> None:
    node, plugin = fresh.node, probes.serves_cri
    fresh.containerd.daemon.stop()
    configuration = node.path(MAIN.config)
    configuration.write_text(configuration.read_text().replace(f"disabled_plugins = ['{CRI}']\n", ""))
    public = node.path("/run/containerd") / "containerd.sock"
    before = everything(node, "/etc")
    theirs = Daemon(node, ["containerd"], MAIN.log, lambda: plugin(public))
    with theirs:  # containerd serves the CRI, and a pod runs by it
        pod = await running_pod(fresh)
    node.run([COMMAND, "install", "--drop-in", "--apply", "--root", "/", "--executable", COMMAND])
    argv = ["/opt/cri-shim/bin/python", "-c", service_manager.script(), MAIN.socket, "10", COMMAND, "serve"]
    ours = Daemon(node, argv, "/var/log/dropped-in.log", lambda: plugin(public))
    with Daemon(node, ["containerd"], MAIN.log, lambda: probes.connects(node.path("/run/containerd") / OWN[16:])), ours:
        assert node.run(["ctr", "version"]).stdout.count("Version:") == 2  # with no address: the one that it always had
        assert pod in await ready_pods(fresh)
        assert len(await ready_pods(fresh)) == 1
    node.run([COMMAND, "uninstall", "--apply", "--root", "/"])
    assert everything(node, "/etc") == before
    with theirs:
        assert pod in await ready_pods(fresh)
        with closing(Channel(path=str(public))) as channel:
            runtime = cri.RuntimeServiceStub(channel)
            await runtime.stop_pod_sandbox(cri.StopPodSandboxRequest(pod_sandbox_id=pod))
            await runtime.remove_pod_sandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=pod))


async def running_pod(fresh: RunningNode) -> str:
    with closing(Channel(path=str(fresh.node.path("/run/containerd") / "containerd.sock"))) as channel:
        kubelet = Kubelet(cri.RuntimeServiceStub(channel), cri.ImageServiceStub(channel), str(fresh.node.root))
        return (await kubelet.run_pod()).id


async def ready_pods(fresh: RunningNode) -> set[str]:
    with closing(Channel(path=str(fresh.node.path("/run/containerd") / "containerd.sock"))) as channel:
        items = (await cri.RuntimeServiceStub(channel).list_pod_sandbox(cri.ListPodSandboxRequest())).items
    return {item.id for item in items if item.state is cri.PodSandboxState.SANDBOX_READY}
