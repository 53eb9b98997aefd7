"""This very machine as the node: for a guest that is there for nothing else, with what an enclosure can't have.

That is systemd as the first process, the cgroups' real root, and AppArmor, which knows no namespaces of its own.
Containers, networks and profiles are then the machine's; what tests leave is found as in any node.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cri_shim.linux import syscalls
from integration.harness.enclosure import groups
from integration.harness.enclosure.file_systems import show
from integration.harness.enclosure.plan import Bind, Plan
from integration.harness.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator

SWITCH: Final = "CRI_SHIM_NODE"
VALUE: Final = "this-machine"
# What a layer may bring to a machine that has all else: the images and what leads to them.
_BROUGHT: Final = ("var/lib/registry", "etc/containerd/certs.d", "usr/share/cri-shim/images")


def wanted() -> bool:
    """Whether tests are to run on this machine itself: $CRI_SHIM_NODE is `this-machine`."""
    return os.environ.get(SWITCH) == VALUE


@dataclass
class ThisMachine:
    """What stands for a node's guardian: `end` takes back what `start` has mounted."""

    plan: Plan
    groups: tuple[str, ...]
    first: int = 1
    mounted: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, plan: Plan) -> ThisMachine:
        """Show the layers' images and the binds. Raises `HarnessError` on a machine that is somebody's."""
        if not os.path.isdir("/run/systemd/system") or len(plan.hierarchies) != 1:
            raise HarnessError(f"{SWITCH}={VALUE} is for a guest with systemd and cgroup v2: see integration/guest")
        machine = cls(plan, (groups.make_leaf(plan.hierarchies[0].mountpoint),))
        for one in (*_layer_binds(plan.layers), *plan.binds):
            if not os.path.exists(one.target) or not os.path.samefile(one.source, one.target):
                show("", one)
                machine.mounted.append(one.target)
        return machine

    def end(self) -> None:
        """Take back what was shown, and end what is still in the group of the node's processes."""
        for group in self.groups:
            groups.remove_leaf(group)
        for target in reversed(self.mounted):
            syscalls.umount2(target, syscalls.MNT_DETACH)
        shutil.rmtree(self.plan.scratch)


def _layer_binds(layers: tuple[str, ...]) -> Iterator[Bind]:
    for layer in layers:
        for path in _BROUGHT:
            if os.path.isdir(f"{layer}/{path}"):
                yield Bind(f"{layer}/{path}", f"/{path}", readonly=False)
