"""Whether the kernel hands programs of other processors to an emulator.

Source: kernel `Documentation/admin-guide/binfmt-misc.rst`.
"""

from __future__ import annotations

import os
from contextlib import suppress

DIRECTORY = "/proc/sys/fs/binfmt_misc"
_EMULATORS = ("qemu-", "rosetta")


def emulates(directory: str = DIRECTORY) -> bool:
    """Whether an emulator of processors is registered and enabled. Blocks for a few small reads."""
    with suppress(OSError):
        return any(
            name.startswith(_EMULATORS) and _enabled(os.path.join(directory, name)) for name in os.listdir(directory)
        )
    return False


def _enabled(path: str) -> bool:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.readline().strip() == "enabled"
    return False
