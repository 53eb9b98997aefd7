"""Images: pulled from a real registry, found by every name, removed, and those that others bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from anyio import to_thread
from grpclib import GRPCError
from grpclib.const import Status

from cri_shim.api.runtime import v1 as cri
from integration.kubelet import BUSYBOX, Kubelet, eventually

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode
    from integration.harness.containerd import Containerd

pytestmark = pytest.mark.anyio

IMAGE = "gcr.io/k8s-staging-cri-tools/test-image-1:latest"


async def test_a_pulled_image_is_found_by_tag_digest_id_and_its_beginning(kubelet: Kubelet) -> None:
    image_id = await kubelet.pull(IMAGE)
    image = await kubelet.image(IMAGE)
    assert image is not None
    assert image.id == image_id
    assert IMAGE in image.repo_tags
    assert image.size > 0
    for name in (image_id, image_id[:20], image_id.removeprefix("sha256:")[:12], image.repo_digests[0]):
        found = await kubelet.image(name)
        assert found is not None
        assert found.id == image_id
    await kubelet.remove_image(IMAGE)


async def test_removing_by_any_name_removes_all_and_again_is_no_error(kubelet: Kubelet) -> None:
    image_id = await kubelet.pull(IMAGE)
    await kubelet.remove_image(image_id)
    assert await kubelet.image(IMAGE) is None
    assert image_id not in {item.id for item in (await kubelet.images.list_images(cri.ListImagesRequest())).images}
    await kubelet.remove_image(IMAGE)


async def test_an_image_that_the_registry_has_not_got_is_not_found(kubelet: Kubelet) -> None:
    with pytest.raises(GRPCError) as caught:
        await kubelet.pull("registry.k8s.io/no/such-image:1")
    assert caught.value.status is Status.NOT_FOUND
    assert "registry.k8s.io/no/such-image:1" in (caught.value.message or "")


@pytest.mark.shim_only
@pytest.mark.parametrize("name", ["docker.io/UPPER/case", "a" * 64, "busybox:", "busybox@sha256:1", "/x", "a//b", "-x"])
async def test_a_bad_reference_is_an_invalid_argument(kubelet: Kubelet, name: str) -> None:
    """Improvement: containerd answers Unknown."""
    with pytest.raises(GRPCError) as caught:
        await kubelet.pull(name)
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert name[:60] in (caught.value.message or "")


async def test_the_sandbox_image_is_pinned_and_others_are_not(kubelet: Kubelet) -> None:
    await kubelet.run_pod()
    images = (await kubelet.images.list_images(cri.ListImagesRequest())).images
    pinned = {tag for image in images if image.pinned for tag in image.repo_tags}
    assert pinned == {"registry.k8s.io/pause:3.10"}


async def test_an_image_that_somebody_else_brings_appears_by_itself_and_goes(
    kubelet: Kubelet, containerd: Containerd
) -> None:
    await kubelet.pull(IMAGE)
    other = "example.com/somebody/else:1"
    containerd.ctr("images", "tag", IMAGE, other)

    async def there() -> bool | None:
        image = await kubelet.image(IMAGE)
        return (image is not None and other in image.repo_tags) or None

    async def gone() -> bool | None:
        image = await kubelet.image(IMAGE)
        return (image is not None and other not in image.repo_tags) or None

    await eventually(there)
    containerd.ctr("images", "rm", other)
    await eventually(gone)
    await kubelet.remove_image(IMAGE)


async def test_images_that_change_while_nobody_serves_are_found_as_they_are(
    kubelet: Kubelet, containerd: Containerd, running: RunningNode
) -> None:
    await kubelet.pull(IMAGE)
    daemon = running.shim.daemon if running.shim else containerd.daemon
    other = "example.com/somebody/else:2"
    containerd.ctr("images", "tag", IMAGE, other)
    await to_thread.run_sync(daemon.kill)
    if running.shim:
        containerd.ctr("images", "rm", IMAGE)
    await to_thread.run_sync(daemon.start)
    image = await kubelet.image(other)
    assert image is not None
    assert (IMAGE in image.repo_tags) is (running.shim is None)
    await kubelet.remove_image(other)


async def test_the_space_of_an_image_is_free_when_its_removal_is_answered(
    kubelet: Kubelet, containerd: Containerd
) -> None:
    def held() -> set[str]:
        return {*containerd.ctr("content", "list", "-q").split(), *snapshot_keys(containerd)}

    before = held()
    await kubelet.pull(IMAGE)
    assert len(held() - before) > 3
    await kubelet.remove_image(IMAGE)
    assert held() == before


def snapshot_keys(containerd: Containerd) -> list[str]:
    return [line.split()[0] for line in containerd.ctr("snapshots", "list").splitlines()[1:]]


async def test_an_image_in_use_can_be_removed_and_its_container_runs_on(
    kubelet: Kubelet, containerd: Containerd
) -> None:
    name = "example.com/used:1"
    containerd.ctr("images", "tag", BUSYBOX, name)

    async def there() -> bool | None:
        return await kubelet.image(name) is not None or None

    await eventually(there)
    pod = await kubelet.run_pod()
    container = await kubelet.create(pod, kubelet.container_config(image=name))
    await kubelet.start(container)
    try:
        await kubelet.remove_image(name)
        assert await kubelet.image(BUSYBOX) is None  # the same image: all its names are gone
        assert (await kubelet.exec(container, "cat", "/etc/passwd")).exit_code == 0
        assert (await kubelet.status(container)).image_ref
        with pytest.raises(GRPCError) as caught:
            await kubelet.create(pod, kubelet.container_config(name="another", image=name))
        assert caught.value.status is Status.NOT_FOUND
    finally:
        await kubelet.pull(BUSYBOX)


async def test_the_image_file_system_is_a_directory_of_the_node_and_grows_with_images(
    kubelet: Kubelet, running: RunningNode
) -> None:
    async def measured() -> cri.FilesystemUsage | None:
        answer = await kubelet.images.image_fs_info(cri.ImageFsInfoRequest())
        found = answer.image_filesystems[0]
        return found if found.used_bytes and found.used_bytes.value else None

    usage = await eventually(measured, 20)
    assert usage.fs_id is not None
    assert running.node.path(usage.fs_id.mountpoint).is_dir()
    assert usage.inodes_used is not None
    assert usage.inodes_used.value > 0


@pytest.mark.shim_only
async def test_what_containers_have_written_is_told_apart_from_images(kubelet: Kubelet) -> None:
    """Improvement: containerd tells only of both together."""

    async def written() -> int:
        answer = await kubelet.images.image_fs_info(cri.ImageFsInfoRequest())
        used, images = answer.container_filesystems[0], answer.image_filesystems[0]
        assert used.fs_id == images.fs_id
        assert used.used_bytes is not None
        return used.used_bytes.value

    before = await written()
    command = ["sh", "-c", "head -c 9000000 /dev/zero >/file; sleep 1000"]
    await kubelet.run(await kubelet.run_pod(), kubelet.container_config(command))

    async def more() -> bool | None:
        return await written() > before + 8_000_000 or None

    await eventually(more, 20)


async def test_a_container_names_its_image_by_tag_and_digest(kubelet: Kubelet) -> None:
    container = await kubelet.create(await kubelet.run_pod())
    status = await kubelet.status(container)
    assert status.image is not None
    assert status.image.image == BUSYBOX
    assert status.image_ref.startswith(BUSYBOX.rpartition(":")[0] + "@sha256:")


async def test_a_container_of_an_image_that_was_not_pulled_is_not_found(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    with pytest.raises(GRPCError) as caught:
        await kubelet.create(pod, kubelet.container_config(image="registry.k8s.io/never/pulled:1"))
    assert caught.value.status is Status.NOT_FOUND
