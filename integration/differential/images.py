"""What the image brings along."""

from __future__ import annotations

from typing import Any

from cri_shim.api.runtime import v1 as cri
from integration.differential.case import (
    ENTRYPOINT,
    NO_NAME,
    NOWHERE,
    ODD_VOLUMES,
    VOLUMES,
    Context,
    case,
    mount,
)
from integration.images.catalog import E2E, STAGING
from integration.kubelet import BUSYBOX


def image_mount(image: str, container_path: str = "/image", *, readonly: bool = True, **fields: Any) -> cri.Mount:
    """An image in the place of a directory of the node's."""
    return mount(container_path, "", image=cri.ImageSpec(image=image), readonly=readonly, **fields)


CASES = (
    case("volumes", image=VOLUMES),
    case("volumes with a read-only root", Context(readonly_rootfs=True), image=VOLUMES),
    case("a mount in place of a volume", image=VOLUMES, mounts=[mount("/data/")]),
    case("a mount above a volume", image=VOLUMES, mounts=[mount("/data/deeper"), mount("/")]),
    case("volumes with odd names", image=ODD_VOLUMES),
    case("a name without a registry", image="busybox"),
    case("one of several tags", image=f"{STAGING}test-image-tags:2"),
    case("links in place of programs", image="ghcr.io/containerd/alpine:3.14.0", command=[]),
    case("a program that changes its user", Context(no_new_privs=True), image=f"{E2E}nonewprivs:1.3", command=[]),
    case("labels", image=ENTRYPOINT, labels={"mine": "1"}),
    case(
        "an image with another name for its user", image=cri.ImageSpec(image=BUSYBOX, user_specified_image="busybox:1")
    ),
    case("annotations of the image", image=cri.ImageSpec(image=BUSYBOX, annotations={"a": "b"})),
    case("an image for a handler", image=cri.ImageSpec(image=BUSYBOX, runtime_handler="runc")),
    case("an image as a mount", mounts=[image_mount(ENTRYPOINT)]),
    # Another image each: in one pod containerd mounts one at the same place for two containers at once, and fails.
    case("an image as a mount, twice", mounts=[image_mount(VOLUMES), image_mount(VOLUMES, "/other")]),
    case("an image as a mount with a source", mounts=[mount("/image", image=cri.ImageSpec(image=ENTRYPOINT))]),
    case("an image as a mount that isn't there", mounts=[image_mount(NOWHERE)]),
    case("an image as a mount to be written", mounts=[image_mount(ENTRYPOINT, readonly=False)]),
    case("a part of an image as a mount", mounts=[image_mount(BUSYBOX, image_sub_path="etc")]),
    case(
        "a part of an image as a mount that isn't there",
        mounts=[image_mount(f"{STAGING}test-image-tags:2", image_sub_path="no/such")],
    ),
    case(
        "a part of an image as a mount that leads out",
        mounts=[image_mount(f"{E2E}nonewprivs:1.3", image_sub_path="../x")],
    ),
    case("no image", image=""),
    case("an image that isn't there", image=NOWHERE),
    case("a name that is none", image=NO_NAME),
)
