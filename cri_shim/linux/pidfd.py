"""Killing a process that was looked at, through a descriptor: a number given anew meanwhile hits no stranger.

Source: pidfd_open(2), pidfd_send_signal(2).
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def kill_if(pid: int, chosen: Callable[[int], bool]) -> bool:
    """SIGKILL to `pid` if it is `chosen` once it can't be confused with another any more; whether it was.

    Raises OSError when the process ends meanwhile, or can't be looked at.
    """
    descriptor = os.pidfd_open(pid)
    try:
        if not chosen(pid):
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        return True
    finally:
        os.close(descriptor)


def is_in_cgroup(pid: int, part: str) -> bool:
    """Whether the path of one of the process's cgroups contains `part`; raises OSError."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        return part in file.read()
