"""Pods with users of their own: who they are inside, whose their files are, and that nothing of them stays."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from anyio import to_thread
from grpclib import GRPCError
from grpclib.const import Status

from cri_shim.api.runtime import v1 as cri
from integration.harness.containerd import MAIN, PAUSE
from integration.kubelet import BUSYBOX, eventually
from integration.restarts import killed_during, restart

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from integration.harness.assembly import RunningNode
    from integration.harness.containerd import Containerd
    from integration.kubelet import Kubelet, Pod

pytestmark = pytest.mark.anyio

FIRST, LENGTH = 100_000, 65_536
MAPPING = cri.IdMapping(host_id=FIRST, container_id=0, length=LENGTH)
USERS = cri.UserNamespace(mode=cri.NamespaceMode.POD, uids=[MAPPING], gids=[MAPPING])
HANDLERS = pytest.mark.parametrize("handler", ["runc", "crun"])
VOLUMES = "docker.io/test/volumes:1"
PARTS = "docker.io/test/parts:1"
DISK = "/var/lib/containerd-peer/volumes-of-tests"  # a node's root is an overlay, which has no mapped mounts


def pod_config(kubelet: Kubelet, *, host_network: bool = False) -> cri.PodSandboxConfig:
    network = cri.NamespaceMode.NODE if host_network else cri.NamespaceMode.POD
    options = cri.NamespaceOption(network=network, userns_options=USERS)
    security = cri.LinuxSandboxSecurityContext(namespace_options=options)
    return kubelet.pod_config(host_network=host_network, linux=cri.LinuxPodSandboxConfig(security_context=security))


async def run_pod(kubelet: Kubelet, handler: str = "", *, host_network: bool = False) -> Pod:
    return await kubelet.run_pod(pod_config(kubelet, host_network=host_network), handler=handler)


def container_config(kubelet: Kubelet, name: str = "main", user: int = 0, **fields: Any) -> cri.ContainerConfig:
    context = cri.LinuxContainerSecurityContext(
        namespace_options=cri.NamespaceOption(userns_options=USERS),
        run_as_user=cri.Int64Value(value=user),
        capabilities=cri.Capability(add_capabilities=["NET_ADMIN"]),
    )
    return kubelet.container_config(name=name, linux=cri.LinuxContainerConfig(security_context=context), **fields)


async def says(kubelet: Kubelet, container: str, script: str) -> str:
    answer = await kubelet.exec(container, "sh", "-c", script)
    assert answer.exit_code == 0, answer.stderr.decode()
    return answer.stdout.decode().strip()


@HANDLERS
async def test_the_pods_root_is_nobody_on_the_node_and_root_in_its_own(
    kubelet: Kubelet, running: RunningNode, handler: str
) -> None:
    container = await kubelet.run(await run_pod(kubelet, handler), container_config(kubelet))
    assert (await says(kubelet, container, "cat /proc/self/uid_map")).split() == ["0", str(FIRST), str(LENGTH)]
    assert (
        await says(kubelet, container, "stat -c %u:%g / /bin/sh && touch /made && stat -c %u:%g /made")
        == "0:0\n" * 2 + "0:0"
    )
    ours = await says(kubelet, container, "grep ^Uid /proc/self/status")
    assert ours.split()[1:] == ["0"] * 4
    assert str(FIRST) in running.node.run(["ps", "-eo", "uid"]).stdout.split()


@HANDLERS
async def test_the_pods_network_is_its_own_to_change(kubelet: Kubelet, handler: str) -> None:
    container = await kubelet.run(await run_pod(kubelet, handler), container_config(kubelet))
    assert "eth0" in await says(kubelet, container, "ip -o link")
    await says(kubelet, container, "ip link set lo mtu 60000")
    assert "mtu 60000" in await says(kubelet, container, "ip -o link show lo")


async def test_output_can_be_opened_again_by_whoever_the_process_is(kubelet: Kubelet) -> None:
    pod = await run_pod(kubelet)
    script = "id -u; echo again > /dev/stdout; echo and errors > /dev/stderr"
    for user in (0, 1000):
        container = await kubelet.run(
            pod, container_config(kubelet, f"user-{user}", user, command=["sh", "-c", script])
        )
        assert (await kubelet.exited(container)).exit_code == 0
        said = sorted(line.split(" ", 3)[3] for line in await kubelet.log(container))
        assert said == sorted([str(user), "again", "and errors"])


async def test_files_of_the_pod_and_of_volumes_are_its_roots(kubelet: Kubelet, running: RunningNode) -> None:
    pod = await run_pod(kubelet)
    for name in ("mapped", "plain"):
        running.node.path(DISK).joinpath(name).mkdir(parents=True, exist_ok=True)
    mounts = [
        cri.Mount(container_path="/mapped", host_path=f"{DISK}/mapped", uid_mappings=[MAPPING], gid_mappings=[MAPPING]),
        cri.Mount(container_path="/plain", host_path=f"{DISK}/plain"),
    ]
    container = await kubelet.run(pod, container_config(kubelet, mounts=mounts))
    assert await says(kubelet, container, "stat -c %u /etc/hosts /etc/hostname /etc/resolv.conf") == "0\n0\n0"
    assert await says(kubelet, container, "stat -c %u /mapped /plain") == "0\n65534"
    await says(kubelet, container, "touch /mapped/made && touch /dev/shm/made")
    assert os.stat(running.node.path(f"{DISK}/mapped/made")).st_uid == 0
    refused = await kubelet.exec(container, "touch", "/plain/made")
    assert refused.exit_code != 0


async def test_an_images_volumes_can_be_written(kubelet: Kubelet) -> None:
    await kubelet.pull(VOLUMES)
    container = await kubelet.run(await run_pod(kubelet), container_config(kubelet, image=VOLUMES))
    mounted = await says(kubelet, container, "cat /proc/self/mountinfo")
    places = [line.split()[4] for line in mounted.splitlines() if "/volumes/" in line]
    assert places
    for place in places:
        await says(kubelet, container, f"touch {place}/made && [ $(stat -c %u {place}/made) = 0 ]")


async def test_the_handlers_that_can_say_so(kubelet: Kubelet) -> None:
    found = (await kubelet.runtime.status(cri.StatusRequest())).runtime_handlers
    assert {item.name: bool(item.features and item.features.user_namespaces) for item in found} == {
        "": True,
        "crun": True,
        "runc": True,
    }


@pytest.mark.shim_only
async def test_on_the_nodes_network_too(kubelet: Kubelet) -> None:
    """Improvement: containerd 2.1 looks for a network namespace to own."""
    container = await kubelet.run(await run_pod(kubelet, host_network=True), container_config(kubelet))
    assert (await says(kubelet, container, "cat /proc/self/uid_map")).split()[1] == str(FIRST)


async def test_a_container_has_its_pods_users_or_is_refused(kubelet: Kubelet) -> None:
    pod = await run_pod(kubelet)
    with pytest.raises(GRPCError) as caught:
        await kubelet.create(pod)
    assert "user namespace config for sandbox is different from container" in (caught.value.message or "")


@pytest.mark.shim_only
async def test_such_a_pod_outlives_a_kill(kubelet: Kubelet, running: RunningNode) -> None:
    pod = await run_pod(kubelet)
    container = await kubelet.run(pod, container_config(kubelet))
    await restart(running, "kill -9")
    assert await says(kubelet, container, "stat -c %u /") == "0"
    another = await kubelet.run(pod, container_config(kubelet, "another"))
    assert (await says(kubelet, another, "cat /proc/self/uid_map")).split()[1] == str(FIRST)


@pytest.mark.shim_only
@pytest.mark.parametrize("after", [0.02, 0.06, 0.1, 0.15])
async def test_a_start_that_is_killed_leaves_nothing(kubelet: Kubelet, running: RunningNode, after: float) -> None:
    config = pod_config(kubelet)
    await killed_during(running, lambda: kubelet.run_pod(config), after)
    pod = await kubelet.run_pod(config)
    await kubelet.run(pod, container_config(kubelet))
    await kubelet.clean_up()


@pytest.mark.shim_only
async def test_a_mapping_that_can_not_be_is_refused_before_anything_is_made(kubelet: Kubelet) -> None:
    config = pod_config(kubelet)
    assert config.linux is not None
    assert config.linux.security_context is not None
    assert config.linux.security_context.namespace_options is not None
    config.linux.security_context.namespace_options.userns_options = cri.UserNamespace(
        mode=cri.NamespaceMode.POD, uids=[MAPPING, MAPPING], gids=[MAPPING]
    )
    with pytest.raises(GRPCError) as caught:
        await kubelet.run_pod(config)
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert "userns_options.uids must be exactly one mapping" in (caught.value.message or "")


# ── images as mounts ────────────────────────────────────────────────────────────────────────────────────────────────


def image_mount(place: str = "/image", **fields: Any) -> cri.Mount:
    """As the kubelet asks for one: with the mappings that all mounts of such a pod have."""
    return cri.Mount(
        container_path=place,
        image=cri.ImageSpec(image=PARTS),
        readonly=True,
        uid_mappings=[MAPPING],
        gid_mappings=[MAPPING],
        **fields,
    )


OWNERS = "cd /image/data && stat -c %u:%g:%a . file set-id hard soft below"
AS_IN_THE_IMAGE = ["7:8:1751", "0:0:640", "33:44:6755", "0:0:640", "5:6:777", "9:9:700"]


@pytest.mark.shim_only  # containerd can from 2.3 on
@HANDLERS
async def test_an_image_as_a_mount_belongs_to_whom_it_belongs_in_the_image(
    kubelet: Kubelet, running: RunningNode, handler: str
) -> None:
    await kubelet.pull(PARTS)
    pod = await run_pod(kubelet, handler)
    container = await kubelet.run(pod, container_config(kubelet, mounts=[image_mount()]))
    assert (await says(kubelet, container, OWNERS)).split() == AS_IN_THE_IMAGE
    assert await says(kubelet, container, "cat /image/data/file") == "from the image"
    refused = await kubelet.exec(container, "touch", "/image/made")
    assert "Read-only file system" in refused.stderr.decode()
    await restart(running, "kill -9")
    again = await kubelet.run(pod, container_config(kubelet, "again", mounts=[image_mount(image_sub_path="data")]))
    assert await says(kubelet, again, "cat /image/file; stat -c %u /image") == "from the image\n7"


# ── a snapshotter that can't map ids ────────────────────────────────────────────────────────────────────────────────

NATIVE = """
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.native]
  runtime_type = 'io.containerd.runc.v2'
  snapshotter = 'native'
"""


@pytest.fixture
async def native(running: RunningNode, images: cri.ImageServiceStub) -> AsyncIterator[str]:
    """A handler whose snapshotter copies, and maps nothing; the images' layers may be in another one alone."""
    assert running.shim
    path, daemon = running.node.path(MAIN.config), running.shim.daemon
    usual = path.read_text()
    path.write_text(usual + NATIVE)
    await to_thread.run_sync(daemon.restart)
    for image in (PAUSE, BUSYBOX, PARTS):
        wanted = cri.ImageSpec(image=image, runtime_handler="native")
        await images.pull_image(cri.PullImageRequest(image=wanted, sandbox_config=cri.PodSandboxConfig()))
    yield "native"
    path.write_text(usual)
    await to_thread.run_sync(daemon.restart)


def snapshots(containerd: Containerd) -> dict[str, str]:
    """The native snapshotter's: their parents by their keys."""
    lines = containerd.ctr("snapshots", "--snapshotter", "native", "ls").splitlines()[1:]
    return {words[0]: words[1] if len(words) == 3 else "" for words in (line.split() for line in lines)}


@pytest.mark.shim_only  # the peer is configured without; and containerd gives a file with two names away twice
async def test_a_snapshotter_that_can_not_map_ids_has_a_copy_that_is_the_pods_users(
    native: str, kubelet: Kubelet, running: RunningNode, containerd: Containerd
) -> None:
    pod = await run_pod(kubelet, native)
    mounts = [image_mount()]
    first = await kubelet.run(pod, container_config(kubelet, "first", image=PARTS, mounts=mounts))
    assert (await says(kubelet, first, OWNERS)).split() == AS_IN_THE_IMAGE, "of a mounted image"
    volume = OWNERS.replace("/image/data", "/data")
    assert (await says(kubelet, first, volume)).split() == AS_IN_THE_IMAGE, "of a volume of the image's"
    await says(kubelet, first, "touch /made /data/made && stat -c %u /made /data/made | grep -c 0")
    assert (await says(kubelet, first, "stat -c %u:%g / /bin/sh; cat /within/file")) == "0:0\n0:0\nfrom the image"
    before = snapshots(containerd)
    second = await kubelet.run(pod, container_config(kubelet, "second", image=PARTS, user=1000))
    assert (await says(kubelet, second, "id -u; cat /proc/self/uid_map")).split()[:3] == ["1000", "0", str(FIRST)]
    assert snapshots(containerd)[second] == before[first], "one copy for all of the pod"
    root = running.node.path(f"{containerd.place.state}/io.containerd.runtime.v2.task/k8s.io/{first}/rootfs")
    assert os.stat(root).st_uid == FIRST
    copy = before[first]
    await kubelet.remove_pod(pod)

    async def gone() -> bool | None:
        return copy not in snapshots(containerd) or None

    await eventually(gone, 20)


@pytest.mark.shim_only
@pytest.mark.parametrize("after", [0.05, 0.2, 0.4])
async def test_half_a_copy_is_made_anew(
    native: str, kubelet: Kubelet, running: RunningNode, containerd: Containerd, after: float
) -> None:
    config = pod_config(kubelet)
    await killed_during(running, lambda: kubelet.run_pod(config, handler=native), after)
    pod = await kubelet.run_pod(config, handler=native)
    await kubelet.run(pod, container_config(kubelet))
    await kubelet.clean_up()
    assert [key for key in snapshots(containerd) if key.endswith("-remap")] == []
