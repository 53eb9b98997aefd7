"""How long to wait before containerd is asked once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def doubling(first: float, longest: float) -> Iterator[float]:
    """Pauses in seconds without end: `first`, and each twice the one before, up to `longest`."""
    pause = first
    while True:
        yield pause
        pause = min(2 * pause, longest)
