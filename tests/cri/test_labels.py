from __future__ import annotations

from cri_shim.cri.labels import MAX_LABEL_BYTES, container_labels


def test_the_request_overrides_the_image_and_the_kind_overrides_both() -> None:
    labels = container_labels(
        {"a": "request", "io.cri-containerd.kind": "fake"}, {"a": "image", "b": "image"}, "container"
    )
    assert labels == {"a": "request", "b": "image", "io.cri-containerd.kind": "container"}


def test_an_image_can_not_claim_containerds_labels_nor_overflow_them() -> None:
    image = {
        "containerd.io/gc.root": "1",
        "io.cri-containerd.image": "managed",
        "long": "x" * MAX_LABEL_BYTES,
        "ok": "1",
    }
    assert container_labels({}, image, "sandbox") == {"ok": "1", "io.cri-containerd.kind": "sandbox"}
