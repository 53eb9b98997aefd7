"""The labels of containerd's container records.

Source: containerd `internal/cri/util/labels.go` (`BuildLabels`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.errors import InvalidArgument
from cri_shim.state.metadata import KIND_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LABEL_BYTES = 4096  # of key and value together: containerd's limit
_RESERVED = ("containerd.io/", "io.cri-containerd")


def container_labels(wanted: Mapping[str, str], image: Mapping[str, str], kind: str) -> dict[str, str]:
    """Image labels, overridden by those of the request, and the kind that recovery finds containers by.

    An image's label that is too long, or that claims to be containerd's own, is skipped.
    """
    labels = {key: value for key, value in image.items() if _inheritable(key, value)}
    labels.update(wanted)
    labels[KIND_LABEL] = kind
    return labels


def check_labels(wanted: Mapping[str, str]) -> None:
    """Raise InvalidArgument for a label of a request's that containerd would not store."""
    for key, value in wanted.items():
        if not _fits(key, value):
            raise InvalidArgument(
                f"config.labels[{key!r:.100}] has {len(key.encode()) + len(value.encode())} bytes, key and value "
                f"together: containerd stores at most {MAX_LABEL_BYTES}"
            )


def _inheritable(key: str, value: str) -> bool:
    return not key.startswith(_RESERVED) and _fits(key, value)


def _fits(key: str, value: str) -> bool:
    return len(key.encode()) + len(value.encode()) <= MAX_LABEL_BYTES
