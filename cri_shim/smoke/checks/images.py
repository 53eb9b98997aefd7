"""PullImage, ImageStatus, ListImages, RemoveImage, ImageFsInfo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from cri_shim.api.runtime import v1 as cri
from cri_shim.smoke.check import Capability
from cri_shim.smoke.expect import equal, present, refused, that
from cri_shim.smoke.image.layer import UID, USER
from cri_shim.smoke.image.own import CROWD, DEFAULTS, PRIVATE, SPARE, TOOLS
from cri_shim.smoke.image.registry import PASSWORD, USERNAME

if TYPE_CHECKING:
    from cri_shim.smoke.subject import Subject

images = Capability("images")


async def _pull(s: Subject, name: str, auth: cri.AuthConfig | None = None) -> str:
    request = cri.PullImageRequest(image=cri.ImageSpec(image=name), auth=auth)
    return (await s.images.pull_image(request)).image_ref


async def _status(s: Subject, name: str) -> cri.Image | None:
    return (await s.images.image_status(cri.ImageStatusRequest(image=cri.ImageSpec(image=name)))).image


async def _there(s: Subject, name: str) -> cri.Image:
    return present(await _status(s, name), f"the image {name}")


async def _remove(s: Subject, name: str) -> None:
    await s.images.remove_image(cri.RemoveImageRequest(image=cri.ImageSpec(image=name)))


@images.check
async def status_tells_id_and_size(s: Subject) -> None:
    """ImageStatus tells an image's id, its size, and a name of it."""
    image = await _there(s, s.image)
    that(image.id and image.size > 0, "an id and a size", image)
    that(image.repo_tags or image.repo_digests, "a tag or a digest", image)


@images.check
async def pull_answers_a_reference_that_is_known(s: Subject) -> None:
    """What PullImage answers with is a name that ImageStatus and CreateContainer know."""
    reference = await _pull(s, s.image)
    equal("the image's id", (await _there(s, s.image)).id, (await _there(s, reference)).id)
    await s.create(s.container_config(image=reference))


@images.check
async def status_by_id_and_by_digest(s: Subject) -> None:
    """An image is found by its id and by each of its digests, too."""
    image = await _there(s, s.image)
    for name in (image.id, *image.repo_digests):
        equal(f"the image {name}", image.id, (await _there(s, name)).id)


@images.check
async def status_of_a_missing_image_is_empty(s: Subject) -> None:
    """ImageStatus of an image that is not there succeeds, without an image."""
    equal("no image", None, await _status(s, "localhost/cri-smoke/no-such-image:1"))


@images.check
async def verbose_status_explains(s: Subject) -> None:
    """A verbose ImageStatus has details."""
    request = cri.ImageStatusRequest(image=cri.ImageSpec(image=s.image), verbose=True)
    info = (await s.images.image_status(request)).info
    that(info, "details in `info`", info)


@images.check
async def list_has_what_was_pulled(s: Subject) -> None:
    """ListImages has the image that was pulled, once, as ImageStatus tells of it."""
    image = await _there(s, s.image)
    listed = (await s.images.list_images(cri.ListImagesRequest())).images
    equal("the image in the list", [image], [each for each in listed if each.id == image.id])


@images.check
async def list_by_name(s: Subject) -> None:
    """ListImages with a filter has the image of that name only."""
    if s.session.own:
        await _pull(s, s.own.name(DEFAULTS))
    wanted = cri.ImageFilter(image=cri.ImageSpec(image=s.image))
    listed = (await s.images.list_images(cri.ListImagesRequest(filter=wanted))).images
    equal("ids", [(await _there(s, s.image)).id], [image.id for image in listed])


@images.check
async def pull_by_digest(s: Subject) -> None:
    """An image can be pulled by its digest; it is told among the image's digests."""
    name = s.own.by_digest(TOOLS)
    await _pull(s, name)
    image = await _there(s, name)
    that(name in image.repo_digests, f"{name} among the digests", image.repo_digests)


@images.check
async def pull_by_tag_is_told_as_tag_and_digest(s: Subject) -> None:
    """An image that was pulled by its tag has that tag, and the digest of its manifest."""
    await _pull(s, s.own.name(TOOLS))
    image = await _there(s, s.own.name(TOOLS))
    that(s.own.name(TOOLS) in image.repo_tags, f"the tag {s.own.name(TOOLS)}", image.repo_tags)
    that(s.own.by_digest(TOOLS) in image.repo_digests, f"the digest {s.own.by_digest(TOOLS)}", image.repo_digests)


@images.check
async def user_of_the_image_is_told(s: Subject) -> None:
    """ImageStatus tells the user that the image's configuration names, which a kubelet checks runAsNonRoot by."""
    await _pull(s, s.own.name(DEFAULTS))
    image = await _there(s, s.own.name(DEFAULTS))
    that(image.username == USER or (image.uid and image.uid.value == UID), f"the user {USER}", image)


@images.check
async def removed_image_is_gone_and_removing_it_again_is_fine(s: Subject) -> None:
    """RemoveImage removes an image with all its names; a second one succeeds."""
    name = s.own.name(SPARE)
    await _pull(s, name)
    image = await _there(s, name)
    await _remove(s, image.id)
    equal("no image", None, await _status(s, name))
    equal("no image of that id", None, await _status(s, image.id))
    await _remove(s, name)


@images.check
async def pulls_of_the_same_image_at_once_all_succeed(s: Subject) -> None:
    """Four pulls of one image at the same time all answer the same."""
    answers: list[str] = []

    async def pull() -> None:
        answers.append(await _pull(s, s.own.name(CROWD)))

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(pull)
    equal("one answer for all", 1, len({*answers}))


@images.check
async def pull_of_what_is_not_there_is_refused(s: Subject) -> None:
    """A pull of a name that the registry does not have is an error, and leaves no image."""
    name = f"{s.own.repository(SPARE)}:no-such-tag"
    await refused(_pull(s, name), "a tag that there is not")
    equal("no image", None, await _status(s, name))


@images.check
async def pull_of_a_malformed_name_is_refused(s: Subject) -> None:
    """A pull of what can't be a reference is an error."""
    await refused(_pull(s, "not a reference"), "a malformed reference")


@images.check
async def pull_with_credentials(s: Subject) -> None:
    """A pull from a repository that asks for an account succeeds with the credentials of the request."""
    await _pull(s, s.own.name(PRIVATE), cri.AuthConfig(username=USERNAME, password=PASSWORD))
    await _there(s, s.own.name(PRIVATE))


@images.check
async def pull_with_wrong_credentials_is_refused(s: Subject) -> None:
    """The same with a wrong password is an error."""
    call = _pull(s, f"{s.own.repository(PRIVATE)}:other", cri.AuthConfig(username=USERNAME, password="wrong"))  # noqa: S106
    await refused(call, "a wrong password")


@images.check
async def filesystem_of_images_is_told(s: Subject) -> None:
    """ImageFsInfo tells where images are, and how many bytes and inodes they take."""
    answer = await s.images.image_fs_info(cri.ImageFsInfoRequest())
    that(answer.image_filesystems, "a file system of images", answer)
    for usage in answer.image_filesystems:
        mount = usage.fs_id.mountpoint if usage.fs_id else ""
        that(mount.startswith("/"), "an absolute mount point", usage)
        that(usage.timestamp > 0 and usage.used_bytes is not None, "a time and used bytes", usage)
