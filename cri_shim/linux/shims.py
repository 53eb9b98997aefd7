"""containerd's shims among the node's processes, and what is left of a container whose shim has died.

containerd starts a shim before it knows the task: a create that is cut off at that moment leaves one behind that no
call leads to, until containerd itself restarts and cleans it up. A container's processes outlive their shim; containerd
ends those of a pod's first task alone.
"""

from __future__ import annotations

import itertools
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from cri_shim.linux.pidfd import is_in_cgroup, kill_if

if TYPE_CHECKING:
    from collections.abc import Callable

_NAME = "containerd-shim"


def kill_shims(address: str, namespace: str, task_id: str) -> int:
    """Kill the shims that containerd at `address` started for `task_id`; how many there were. Blocks."""
    return _kill(lambda pid: is_shim_of(_arguments(pid), address, namespace, task_id))


def kill_processes(container_id: str) -> int:
    """Kill the processes in a container's cgroup, whose name has the container's id; how many there were. Blocks."""
    return _kill(lambda pid: is_in_cgroup(pid, container_id))


def _kill(chosen: Callable[[int], bool]) -> int:
    killed = 0
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):  # it ended meanwhile
            killed += kill_if(int(pid), chosen)
    return killed


def is_shim_of(arguments: list[str], address: str, namespace: str, task_id: str) -> bool:
    """Whether a command line is that of the shim of a task."""
    if not arguments or not os.path.basename(arguments[0]).startswith(_NAME):
        return False
    options = dict(itertools.pairwise(arguments[1:]))
    wanted = {"-namespace": namespace, "-id": task_id, "-address": address}
    return all(options.get(name) == value for name, value in wanted.items())


def _arguments(pid: int) -> list[str]:
    with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
        return file.read().rstrip("\0").split("\0")
