"""Images: pulled from a real registry, found by every name, removed, and those that others bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
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
