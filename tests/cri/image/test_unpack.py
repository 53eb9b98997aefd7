"""What a layer's snapshot is labelled with, and who unpacks it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.config.image_settings import ImageSettings, TransferSettings
from cri_shim.cri.image.unpack import layer_labels, unpacks_as_it_fetches
from cri_shim.oci.image import ImageConfig, RootFs
from cri_shim.state.image_content import Descriptor, ImageContent

pytestmark = pytest.mark.anyio

LAYERS = "containerd.io/snapshot/cri.image-layers"


def content(count: int, annotations: dict[str, str] | None = None) -> ImageContent:
    digests = [f"sha256:{number:064x}" for number in range(count)]
    return ImageContent(
        manifest="sha256:" + "a" * 64,
        config_descriptor=Descriptor("sha256:" + "b" * 64),
        config=ImageConfig(rootfs=RootFs(diff_ids=digests)),
        layers=tuple(Descriptor(digest, annotations=annotations) for digest in digests),
        size=0,
        annotations={},
    )


def test_without_a_reference_a_snapshot_has_its_own_label_and_the_layers_for_snapshotters() -> None:
    image = content(2, {"containerd.io/snapshot/mine": "x", "org.other": "y"})
    assert layer_labels(image) == [
        {"containerd.io/snapshot.ref": chain_id, "containerd.io/snapshot/mine": "x"} for chain_id in image.chain_ids
    ]


@given(count=st.integers(1, 200))
def test_layers_are_named_from_their_own_up_as_far_as_a_label_holds(count: int) -> None:
    image = content(count)
    for number, labels in enumerate(layer_labels(image, "docker.io/library/busybox:latest")):
        named = labels[LAYERS].split(",")
        assert named == [layer.digest for layer in image.layers[number : number + len(named)]]
        assert len(LAYERS) + len(labels[LAYERS]) <= 4096
        assert len(named) == min(count - number, 56)
        assert labels["containerd.io/snapshot/cri.layer-digest"] == named[0]
        assert labels["containerd.io/snapshot/cri.manifest-digest"] == image.manifest


def parts(images: ImageSettings, exports: dict[str, str] | None = None) -> Any:
    async def plugins(*_: str) -> list[Any]:
        return [SimpleNamespace(exports=exports or {})]

    introspection = SimpleNamespace(plugins=plugins)
    settings = SimpleNamespace(images=images, transfer=TransferSettings())
    return cast("Any", SimpleNamespace(settings=settings, containerd=SimpleNamespace(introspection=introspection)))


REMOTE = {"enable_remote_snapshot_annotations": "true"}


@pytest.mark.parametrize(
    ("images", "exports", "snapshotter", "expected"),
    [
        (ImageSettings(), {}, "overlayfs", True),
        (ImageSettings(), {}, "native", False),
        (ImageSettings(image_pull_with_sync_fs=True), {}, "overlayfs", False),
        (ImageSettings(disable_snapshot_annotations=False), {}, "overlayfs", False),
        (ImageSettings(disable_snapshot_annotations=False), REMOTE, "overlayfs", True),
    ],
)
async def test_containerd_unpacks_where_it_does_so_as_the_settings_say(
    images: ImageSettings, exports: dict[str, str], snapshotter: str, *, expected: bool
) -> None:
    assert await unpacks_as_it_fetches(parts(images, exports), snapshotter) is expected
