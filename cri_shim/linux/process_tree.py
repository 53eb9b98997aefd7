"""Ending a process together with all that it started, inside a container that goes on.

Two marks tell who belongs to it: being its descendant, and being in its session (a command run in a container leads
one), which also those have whose parents have ended. Only a descendant that made a session of its own after its parent
had ended escapes. Sources: proc_pid_stat(5), setsid(2).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.linux.pidfd import is_in_cgroup, kill_if

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    session: int
    started: int  # ticks since boot; with the pid, it is the identity
    ended: bool


def kill_tree(root: int, among: Iterable[int], cgroup: str) -> int:
    """SIGKILL to `root` and all that it started, as far as it is in `among`; how many there were.

    A process counts only if the path of its cgroup contains `cgroup`: numbers that come from elsewhere (a virtual
    machine's) must not hit strangers. What starts meanwhile is missed: call it until it returns 0. Blocks.
    """
    found = {pid: process for pid in among if (process := _look(pid)) is not None and not process.ended}
    return sum(_kill(pid, found[pid], cgroup) for pid in _tree(root, found))


def _tree(root: int, processes: dict[int, _Process]) -> Collection[int]:
    tree = {pid for pid, process in processes.items() if root in (pid, process.session)}
    while more := {pid for pid, process in processes.items() if process.parent in tree} - tree:
        tree |= more
    return tree


def _look(pid: int) -> _Process | None:
    """None for one that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # from the third on: a name may contain anything
    except (FileNotFoundError, ProcessLookupError):
        return None
    return _Process(int(fields[1]), int(fields[3]), int(fields[19]), ended=fields[0] in (b"Z", b"X"))


def _kill(pid: int, seen: _Process, cgroup: str) -> bool:
    def is_the_same(pid: int) -> bool:
        now = _look(pid)
        return now is not None and now.started == seen.started and is_in_cgroup(pid, cgroup)

    with suppress(ProcessLookupError, FileNotFoundError):
        return kill_if(pid, is_the_same)
    return False
