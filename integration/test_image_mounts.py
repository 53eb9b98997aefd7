"""Images mounted into containers: what they show, how long they stay, and what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError

from cri_shim.api.runtime import v1 as cri
from integration.harness.containerd import NAMESPACE
from integration.restarts import restart

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode
    from integration.harness.containerd import Containerd
    from integration.kubelet import Kubelet, Pod

pytestmark = pytest.mark.anyio

PARTS = "docker.io/test/parts:1"
TOOLS = "docker.io/test/tools:1"
FAILED = "ImageVolumeMountFailed: "


def image_mount(image: str, place: str = "/image", **fields: object) -> cri.Mount:
    return cri.Mount(container_path=place, image=cri.ImageSpec(image=image), readonly=True, **fields)  # type: ignore[arg-type]


def config(kubelet: Kubelet, *mounts: cri.Mount, name: str = "main") -> cri.ContainerConfig:
    return kubelet.container_config(name=name, mounts=list(mounts))


async def shown(kubelet: Kubelet, container: str, *command: str) -> str:
    answer = await kubelet.exec(container, *command)
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout.decode()


@pytest.fixture
async def pod(kubelet: Kubelet) -> Pod:
    for image in (PARTS, TOOLS):
        await kubelet.pull(image)
    return await kubelet.run_pod()


async def test_an_image_is_shown_read_only_and_is_one_for_the_pod(
    kubelet: Kubelet, pod: Pod, containerd: Containerd, endpoint: str
) -> None:
    first = await kubelet.run(pod, config(kubelet, image_mount(PARTS), image_mount(TOOLS, "/tools"), name="a"))
    second = await kubelet.run(pod, config(kubelet, image_mount(PARTS, "/same"), name="b"))
    assert await shown(kubelet, first, "cat", "/image/data/file") == "from the image\n"
    assert await shown(kubelet, first, "cat", "/tools/marker") == "tools"
    assert await shown(kubelet, second, "cat", "/same/data/file") == "from the image\n"
    assert "ead-only" in (await kubelet.exec(first, "touch", "/image/new")).stderr.decode()
    mounted = {mount.container_path: mount for mount in (await kubelet.status(first)).mounts}
    assert mounted["/image"].readonly
    asked, told = cri.ImageSpec(image=PARTS), mounted["/image"].image
    if endpoint == "shim":  # improvement: containerd doesn't tell which image it was
        image = await kubelet.image(PARTS)
        assert image is not None
        asked.image_ref = image.id
    assert told == asked
    source = f"{containerd.place.state}/io.containerd.grpc.v1.cri/image-volumes/{pod.id}/"
    assert mounted["/image"].host_path.startswith(source)
    again = (await kubelet.status(second)).mounts[0].host_path
    assert again == mounted["/image"].host_path
    assert f"{again} " in containerd.ctr("snapshots", "ls", namespace=NAMESPACE)

    await kubelet.stop(first)
    await kubelet.remove(first)
    assert await shown(kubelet, second, "cat", "/same/data/file") == "from the image\n"
    await kubelet.stop_pod(pod)
    assert again not in containerd.ctr("snapshots", "ls", namespace=NAMESPACE)
    assert not containerd.node.path(again).exists()


async def test_a_removed_image_stays_mounted(kubelet: Kubelet, pod: Pod) -> None:
    container = await kubelet.run(pod, config(kubelet, image_mount(PARTS)))
    await kubelet.remove_image(PARTS)
    assert await kubelet.image(PARTS) is None
    assert await shown(kubelet, container, "cat", "/image/data/file") == "from the image\n"
    await kubelet.pull(PARTS)
    other = await kubelet.run(pod, config(kubelet, image_mount(PARTS), name="other"))
    assert await shown(kubelet, other, "cat", "/image/data/file") == "from the image\n"


@pytest.mark.shim_only  # containerd looks for the image by the very words of the request, and by none of its ids
async def test_an_image_is_found_by_any_name_of_its(kubelet: Kubelet, pod: Pod) -> None:
    image = await kubelet.image(PARTS)
    assert image is not None
    for number, name in enumerate((image.id, image.repo_digests[0], "test/parts:1")):
        container = await kubelet.run(pod, config(kubelet, image_mount(name), name=f"n{number}"))
        assert await shown(kubelet, container, "cat", "/image/data/file") == "from the image\n"


@pytest.mark.shim_only  # containerd can from 2.2 on
async def test_a_directory_of_an_image_is_mounted_and_nothing_that_leads_out_of_it(kubelet: Kubelet, pod: Pod) -> None:
    parts = [
        image_mount(PARTS, f"/part/{number}", image_sub_path=path)
        for number, path in enumerate(("data", "data/../data/.", "within"))
    ]
    container = await kubelet.run(pod, config(kubelet, *parts))
    for number in range(len(parts)):
        assert await shown(kubelet, container, "cat", f"/part/{number}/file") == "from the image\n"
    for path, words in (
        ("../..", "is no path inside the image"),
        ("out", "is no path inside the image"),
        ("absolute", "is no path inside the image"),
        ("/data", "must be a relative path"),
        ("data/file", "is no directory"),
        ("no/such", "No such file"),
    ):
        with pytest.raises(GRPCError) as refused:
            await kubelet.create(pod, config(kubelet, image_mount(PARTS, image_sub_path=path), name="refused"))
        assert refused.value.message is not None
        assert refused.value.message.startswith(FAILED)
        assert words in refused.value.message
        assert path in refused.value.message


async def test_what_cannot_be_mounted_is_refused(kubelet: Kubelet, pod: Pod) -> None:
    writable = image_mount(PARTS)
    writable.readonly = False
    for mount in (writable, image_mount(PARTS, host_path="/tmp"), image_mount("registry.k8s.io/no/such:1")):
        with pytest.raises(GRPCError):
            await kubelet.create(pod, config(kubelet, mount))


@pytest.mark.shim_only  # the peer isn't killed
async def test_after_a_kill_the_same_request_has_the_same_answer_and_nothing_stays(
    kubelet: Kubelet, pod: Pod, running: RunningNode
) -> None:
    asked = config(kubelet, image_mount(PARTS, image_sub_path="data"))
    container = await kubelet.create(pod, asked)
    await restart(running, "kill -9")
    assert await kubelet.create(pod, asked) == container
    await kubelet.start(container)
    assert await shown(kubelet, container, "cat", "/image/file") == "from the image\n"
    other = await kubelet.run(pod, config(kubelet, image_mount(PARTS), name="other"))
    assert await shown(kubelet, other, "cat", "/image/data/file") == "from the image\n"
