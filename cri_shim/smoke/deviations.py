"""What other runtimes are known to do otherwise: such a check is skipped there, with the reason, and not failed.

A row holds only for a runtime that says by its own name and version that it is the one meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

CONTAINERD: Final = "containerd"
_NUMBERS: Final = re.compile(r"v?(\d+)\.(\d+)")


@dataclass(frozen=True)
class Deviation:
    """A check that the CRI plugin of `product` does not pass, before version `before` or ever, for a reason."""

    check: str
    reason: str
    before: tuple[int, int] | None = None
    product: str = CONTAINERD

    def holds_for(self, product: str, version: str) -> bool:
        """Whether that version of a product is meant."""
        if product != self.product:
            return False
        numbers = _NUMBERS.match(version)
        return self.before is None or (numbers is not None and (int(numbers[1]), int(numbers[2])) < self.before)


KNOWN: Final = (Deviation("images.list-by-name", "ignores the filter of ListImages"),)


def reason(check: str, product: str, version: str) -> str:
    """Why that version of a product is known not to pass a check; "" where nothing is known."""
    for deviation in KNOWN:
        if deviation.check == check and deviation.holds_for(product, version):
            return f"{deviation.product}'s plugin {deviation.reason}"
    return ""
