"""The kind node image, built and run: cri-shim serves at containerd's socket what kind and a kubelet ask for there.

Built on stand-ins for Debian's and kind's images; the node runs from the image's own files, by its own units.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import tomllib
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest
import yaml
from anyio import to_thread
from grpclib.client import Channel

from cri_shim.api.runtime import v1 as cri
from integration.harness import rootfs
from integration.harness.guardian import PROJECT
from integration.images import build
from integration.images.archive import archive
from integration.images.store import Store
from integration.kind_node import bases, images
from integration.kind_node.booted import PAUSE
from integration.kind_node.network import SUBNET
from integration.kind_node.node import CONTAINERD, SHIM, SHIM_SOCKET, KindNode
from integration.kind_node.units import Unit
from integration.kubelet import BUSYBOX, Kubelet, eventually
from integration.streaming_client import connect
from integration.streaming_client.session import STDIN, STDOUT
from integration.streaming_client.websocket import websocket_command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.shim_only, pytest.mark.timeout(900)]

PAGE = "a page of the pod"
SAYS = ("sh", "-c", f"mkdir /www; echo '{PAGE}' >/www/index.html; echo started; exec httpd -f -p 80 -h /www")


@pytest.fixture(scope="module")
def store() -> Iterator[images.Store]:
    """Buildah's storage, with the bases."""
    if not shutil.which("buildah"):
        pytest.skip("no buildah to build images with: sudo apt-get install buildah")
    with images.store() as opened:
        yield opened


@pytest.fixture(scope="module")
def image(store: images.Store) -> Iterator[Path]:
    """The root file system of the node image."""
    with store.shown(store.build("kind-node", {})) as mounted:
        yield mounted


@pytest.fixture(scope="module")
def kind(image: Path) -> Iterator[KindNode]:
    """The node, with the sandbox image in it as in kind's, and what a user has loaded."""
    made = Store(build.images(rootfs.debian()))
    node = KindNode.boot(image)
    try:
        pinned = ["--label=io.cri-containerd.pinned=pinned", "--no-unpack"]
        node.ctr("images", "import", *pinned, "--all-platforms", "--digests", "-", image=archive(made, [PAUSE]))
        as_kind_loads = ["--all-platforms", "--digests", "--snapshotter=overlayfs", "-"]
        node.ctr("images", "import", *as_kind_loads, image=archive(made, [BUSYBOX]))
        yield node
    finally:
        node.close()


@pytest.fixture(scope="module")
def with_own_socket(store: images.Store) -> Iterator[Path]:
    """The root file system of a node image built for the other way in."""
    with store.shown(store.build("kind-node", {"WAY": "own-socket"})) as mounted:
        yield mounted


@pytest.fixture
async def kubelet(kind: KindNode) -> AsyncIterator[Kubelet]:
    """A kubelet at the socket that kubeadm names to it; its pods are gone afterwards."""
    channel = Channel(path=str(kind.socket))
    client = Kubelet(cri.RuntimeServiceStub(channel), cri.ImageServiceStub(channel), str(kind.node.root))
    yield client
    await client.remove_all()
    channel.close()


def test_the_image_of_cri_shim_is_its_environment_and_runs_alone(store: images.Store) -> None:
    image = store.build("cri-shim", {})
    with store.shown(image) as mounted:
        assert os.listdir(mounted) == ["opt"]
        assert os.listdir(mounted / "opt") == ["cri-shim"]
        command = ["chroot", str(mounted), "/opt/cri-shim/bin/cri-shim", "version"]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("cri-shim ")
    (_, size), *others = store.layers(image)
    assert others == []
    print(f"the image of cri-shim: {size / 1e6:.1f} MB, compressed")


def test_the_image_brings_nothing_below_what_kind_mounts_over(image: Path) -> None:
    """Kind puts an empty /run and /tmp there, and a volume at /var."""
    base = bases.kind_node()
    for directory in ("run", "tmp", "var"):
        assert listed(image / directory) == listed(base / directory)


def listed(directory: Path) -> dict[str, int]:
    found = (os.path.join(above, name) for above, _, names in os.walk(directory) for name in names)
    return {
        os.path.relpath(path, directory): os.lstat(path).st_size
        for path in found
        if stat.S_ISREG(os.lstat(path).st_mode)
    }


def test_its_units_start_at_boot(image: Path) -> None:
    for name in (CONTAINERD, SHIM, SHIM_SOCKET):
        assert Unit.read(image, name).starts_at_boot(image)


def test_no_code_of_the_nodes_runs_in_it(kind: KindNode) -> None:
    """Interpreter, loader, C library and all others are the image's own, and may be newer than the node's."""
    with open(f"/proc/{kind.shim.pid}/maps", encoding="utf-8") as file:
        mapped = [line.split(maxsplit=5) for line in file]
    programs = {fields[5].strip() for fields in mapped if "x" in fields[1] and len(fields) == 6 and fields[5][0] == "/"}
    assert "/opt/cri-shim/python/lib/libc.so.6" in programs
    assert {path for path in programs if not path.startswith("/opt/cri-shim/")} == set()


def test_only_the_cri_of_containerd_is_off_and_kind_finds_the_snapshotter(kind: KindNode) -> None:
    dumped = tomllib.loads(kind.node.run(["containerd", "config", "dump"]).stdout)
    assert dumped["disabled_plugins"] == ["io.containerd.grpc.v1.cri"]
    assert dumped["plugins"]["io.containerd.cri.v1.images"]["snapshotter"] == "overlayfs"
    plugins = {tuple(line.split()[:2]): line.split()[-1] for line in kind.ctr("plugins", "ls").splitlines()[1:]}
    assert plugins["io.containerd.cri.v1", "images"] == "ok"
    assert plugins["io.containerd.cri.v1", "runtime"] in ("ok", "skip", "error")  # whichever: nobody asks it


async def test_what_kind_loads_is_there_for_pods(kubelet: Kubelet) -> None:
    listed = (await kubelet.images.list_images(cri.ListImagesRequest())).images
    pinned = {tag: image.pinned for image in listed for tag in image.repo_tags}
    assert pinned == {PAUSE: True, BUSYBOX: False}
    found = await kubelet.image(BUSYBOX)  # by which `kind load` finds out whether it must load
    assert found
    by_id = await kubelet.image(found.id)
    assert by_id
    assert by_id.repo_tags == [BUSYBOX]


async def test_a_pod_has_its_address_its_log_its_host_port_and_kinds_hook(kind: KindNode, kubelet: Kubelet) -> None:
    config = kubelet.pod_config()
    config.port_mappings = [cri.PortMapping(container_port=80, host_port=8080)]
    pod = await kubelet.run_pod(config)
    container = await kubelet.run(pod, kubelet.container_config(SAYS))
    status = (await kubelet.pod_status(pod)).status
    assert status
    assert status.network
    assert ip_address(status.network.ip) in ip_network(SUBNET)

    gateway = ip_network(SUBNET)[1]
    for address in (f"{status.network.ip}:80", f"{gateway}:8080"):

        async def served(address: str = address) -> str | None:
            got = kind.node.run(["busybox", "wget", "-qO-", "-T", "5", f"http://{address}/"], check=False)
            return got.stdout.strip() or None

        assert await eventually(served) == PAGE
    assert [line.split(" ", 3)[1:] for line in await kubelet.log(container)] == [["stdout", "F", "started"]]
    hooked = await kubelet.exec(container, "cat", "/product_uuid")
    assert hooked.stdout.decode() == kind.node.path("/kind/product_uuid").read_text()


async def test_crictl_knows_where_to_ask(kind: KindNode, kubelet: Kubelet) -> None:
    """It is in kind's image; here, where there is one on PATH."""
    if not (crictl := shutil.which("crictl")):
        pytest.skip("no crictl on PATH")
    shutil.copy(crictl, kind.node.path("/usr/local/bin/crictl"))
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod)

    def said(*arguments: str) -> str:
        return kind.node.run(["crictl", *arguments]).stdout

    assert said("pods", "--quiet").split() == [pod.id]
    assert said("ps", "--quiet").split() == [container]
    assert said("exec", container, "hostname").strip() == pod.config.hostname
    assert json.loads(said("inspecti", BUSYBOX))["status"]["repoTags"] == [BUSYBOX]  # as `kind load` asks
    assert "ready" in said("info").lower()


async def test_the_handler_of_kinds_is_served(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod(handler="test-handler")
    status = (await kubelet.pod_status(pod)).status
    assert status
    assert (status.runtime_handler, status.state) == ("test-handler", cri.PodSandboxState.SANDBOX_READY)


async def test_its_own_commands_find_the_socket(kind: KindNode, kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    assert pod.config.metadata
    assert pod.config.metadata.name in kind.node.run(["cri-shim", "timeline"]).stdout


async def test_a_command_is_spoken_to_through_the_streaming_server(kind: KindNode, kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod)
    request = cri.ExecRequest(container_id=container, cmd=["cat"], stdin=True, stdout=True, stderr=True)
    url = (await kubelet.runtime.exec(request)).url
    connect.node.netns = f"/proc/{kind.node.pid}/ns/net"
    try:
        async with websocket_command(url, "v5.channel.k8s.io") as command:
            await command.write(STDIN, b"through\n")
            await command.end_stdin()
            assert await command.read_all(STDOUT) == b"through\n"
    finally:
        connect.node.netns = ""


async def test_pods_outlive_a_restart_of_containerd_and_of_what_is_part_of_it(kind: KindNode, kubelet: Kubelet) -> None:
    """`kind create cluster` restarts containerd when it has patched its file."""
    container = await kubelet.run(await kubelet.run_pod())
    await to_thread.run_sync(kind.restart_containerd)
    assert (await kubelet.exec(container, "echo", "still")).stdout == b"still\n"


async def test_containerds_own_cri_takes_the_pods_over_and_gives_them_back(kind: KindNode, kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod)
    await to_thread.run_sync(kind.go_back)
    assert not kind.shim.running
    assert (await kubelet.exec(container, "echo", "containerd")).stdout == b"containerd\n"

    await to_thread.run_sync(kind.return_to_us)
    assert (await kubelet.exec(container, "echo", "cri-shim")).stdout == b"cri-shim\n"


async def test_kubelets_may_ask_at_a_socket_of_its_own(with_own_socket: Path) -> None:
    kind_config = yaml.safe_load((PROJECT / "docker/kind-config-own-socket.yaml").read_text())
    patches = [yaml.safe_load(patch) for patch in kind_config["kubeadmConfigPatches"]]
    (socket,) = {patch["nodeRegistration"]["criSocket"].removeprefix("unix://") for patch in patches}
    node = KindNode.boot(with_own_socket)
    try:
        assert node.shim_socket == socket
        assert f"runtime-endpoint: unix://{socket}" in node.node.path("/etc/crictl.yaml").read_text()
        async with Channel(path=str(node.node.path(socket))) as channel:
            answer = await cri.RuntimeServiceStub(channel).status(cri.StatusRequest())
        assert answer.status
        assert {one.type for one in answer.status.conditions if one.status} >= {"RuntimeReady", "NetworkReady"}
        assert "Server:" in node.ctr("version")  # at containerd's own socket, which has not moved
    finally:
        node.close()
