"""The node's cgroups on the host: one below the harness's own group in each hierarchy, so that its limits hold.

cgroups(7). In v1 a group may hold processes and groups at once. In v2 it may not, save the root of a hierarchy: there
the node's processes live in the leaf `init`, and the controllers are handed to its siblings.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING, Final

from integration.harness.patience import patience

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration.harness.enclosure.plan import Hierarchy, Plan

LEAF: Final = "init"
_PATIENCE: Final = patience(5.0)  # seconds that the kernel may take to let go of the last process


def make(plan: Plan) -> list[str]:
    """Make the node's groups; returns the v2 controllers that had to be switched on for them."""
    lent = _lend(plan.hierarchies[0].own) if len(plan.hierarchies) == 1 else []
    for hierarchy, top in tops(plan):
        os.mkdir(top)
        if not hierarchy.unified and os.path.exists(f"{top}/cpuset.cpus"):
            _inherit_cpuset(hierarchy.own, top)
    return lent


def join(plan: Plan) -> None:
    """Move the calling process; a cgroup namespace that it makes then has the node's groups as its roots."""
    for _, top in tops(plan):
        _write(f"{top}/cgroup.procs", "0")


def settle(plan: Plan) -> list[str]:
    """Move the calling process to where the node's processes live; returns those groups, one for each hierarchy."""
    return [_settle_unified(top) if hierarchy.unified else top for hierarchy, top in tops(plan)]


def remove(plan: Plan, lent: Sequence[str] = ()) -> None:
    """Remove the node's groups and all below them, then switch off what `make` switched on.

    Raises `OSError` when a group stays busy.
    """
    for _, top in tops(plan):
        for directory, _, _ in os.walk(top, topdown=False):
            _remove(directory)
    for controller in lent:
        with contextlib.suppress(OSError):  # somebody else uses it by now
            _write(f"{plan.hierarchies[0].own}/cgroup.subtree_control", f"-{controller}")


def tops(plan: Plan) -> list[tuple[Hierarchy, str]]:
    """Each hierarchy with the node's group in it, the root of what the node sees."""
    return [(hierarchy, os.path.join(hierarchy.own, plan.group)) for hierarchy in plan.hierarchies]


def _lend(own: str) -> list[str]:
    """Hand the controllers of v2's group `own` to the groups below it, as far as that is allowed and not done yet."""
    wanted = _words(f"{own}/cgroup.controllers").difference(_words(f"{own}/cgroup.subtree_control"))
    return [controller for controller in sorted(wanted) if _hand_on(own, controller)]


def make_leaf(root: str) -> str:
    """Make a group for a node's processes in v2's root, where other processes may be; returns it."""
    leaf = os.path.join(root, LEAF)
    os.mkdir(leaf)
    _hand_on_all(root)
    return leaf


def remove_leaf(leaf: str) -> None:
    """Kill what is in a group of v2, and remove it. Raises `OSError` when it stays busy."""
    _write(f"{leaf}/cgroup.kill", "1")
    _remove(leaf)


def _settle_unified(top: str) -> str:
    leaf = os.path.join(top, LEAF)
    os.mkdir(leaf)
    _write(f"{leaf}/cgroup.procs", "0")
    _hand_on_all(top)
    return leaf


def _hand_on_all(group: str) -> None:
    for controller in sorted(_words(f"{group}/cgroup.controllers")):
        _hand_on(group, controller)


def _hand_on(group: str, controller: str) -> bool:
    try:
        _write(f"{group}/cgroup.subtree_control", f"+{controller}")
    except OSError:  # one that can't be handed on is one that pods do without
        return False
    return True


def _words(path: str) -> set[str]:
    with open(path, encoding="ascii") as file:
        return set(file.read().split())


def _inherit_cpuset(parent: str, group: str) -> None:
    """A fresh v1 cpuset is empty, and takes no process until it has CPUs and memory nodes (cpuset(7))."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        with open(f"{parent}/{name}", encoding="ascii") as file:
            value = file.read().strip()
        _write(f"{group}/{name}", value)


def _remove(directory: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _write(path: str, value: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(value)
