"""The labels of containerd's container records.

Source: containerd `internal/cri/util/labels.go` (`BuildLabels`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.state.metadata import KIND_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LABEL_BYTES = 4096  # of key and value together: containerd's limit
_RESERVED = ("containerd.io/", "io.cri-containerd")


def container_labels(wanted: Mapping[str, str], image: Mapping[str, str], kind: str) -> dict[str, str]:
    """Image labels, overridden by those of the request, and the kind that recovery finds containers by.

    An image's label that is too long, or that claims to be containerd's own, is skipped; one of the request that is
    too long is containerd's to refuse.
    """
    labels = {key: value for key, value in image.items() if _inheritable(key, value)}
    labels.update(wanted)
    labels[KIND_LABEL] = kind
    return labels


def _inheritable(key: str, value: str) -> bool:
    return not key.startswith(_RESERVED) and len(key.encode()) + len(value.encode()) <= MAX_LABEL_BYTES
