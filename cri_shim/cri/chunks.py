"""Long lists sent as streams: in pieces that neither side has trouble with."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import betterproto2

from cri_shim.codec import Encoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

M = TypeVar("M", bound=betterproto2.Message)

MOST_ITEMS = 5000  # containerd's number
MOST_BYTES = 1 << 20  # far below what a kubelet receives, 16 MiB; a single item may be larger


def chunks(kind: type[M], items: Iterable[bytes]) -> Iterator[Encoded[M]]:
    """`items`, encoded entries of the list that is the only field of `kind`, as messages; none for no items."""
    batch: list[bytes] = []
    size = 0
    for item in items:
        if batch and (len(batch) == MOST_ITEMS or size + len(item) > MOST_BYTES):
            yield Encoded(kind, b"".join(batch))
            batch, size = [], 0
        batch.append(item)
        size += len(item)
    if batch:
        yield Encoded(kind, b"".join(batch))
