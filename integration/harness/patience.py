"""How long the harness waits: $CRI_SHIM_TEST_SLOWNESS times as long as on a machine of today (default: 1).

Only limits are stretched, after which something counts as hung; nothing waits longer than it has to.
"""

from __future__ import annotations

import os
from typing import Final

SLOWNESS: Final = "CRI_SHIM_TEST_SLOWNESS"


def patience(seconds: float) -> float:
    """A limit of so many `seconds`, stretched."""
    return seconds * float(os.environ.get(SLOWNESS) or 1)
