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
    number,
)
from integration.images.catalog import E2E, ODD_USERS, OWN, STAGING
from integration.kubelet import BUSYBOX


def odd(what: str) -> str:
    return f"{OWN}odd-{what}:1"


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
    # ── at the edge of what an image may be ─────────────────────────────────────────────────────────────────────────
    case("an entry point that is an empty word", image=odd("entrypoint"), command=[]),
    case("variables without a value", image=odd("env")),
    case("a directory that is no path", image=odd("directory")),
    case("a directory in place of one that is no path", image=odd("directory"), working_dir="/tmp"),
    case("labels of the runtime's own, and too long", image=odd("labels")),
    case("a stop signal by number", image=odd("signal-number")),
    case("a stop signal that there isn't", image=odd("signal")),
    case("volumes at odd places", image=odd("volumes")),
    *(case(f"the user {user!r}", image=odd(f"user-{number}")) for number, user in enumerate(ODD_USERS)),
    *(
        case(f"the account {name!r} of a hostile file", Context(run_as_username=name), image=odd("accounts"))
        for name in (
            "hostile",
            "short",
            "alone",
            "twice",
            "spaced",
            " spaced ",
            "much",
            "over",
            "1000",
            "#",
            "# comment",
        )
    ),
    *(
        case(f"the number {uid} in a hostile file", Context(run_as_user=number(uid)), image=odd("accounts"))
        for uid in (0, 5, 6, 11, 15, 17)
    ),
    case("no image", image=""),
    case("an image that isn't there", image=NOWHERE),
    case("a name that is none", image=NO_NAME),
)
