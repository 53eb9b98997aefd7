"""What a spec depends on of the node it is made for; gathered once, at start (`cri_shim.linux.facts`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cri_shim.oci.linux_spec import BlockIo
    from cri_shim.oci.rdt import RdtRules


@dataclass(frozen=True)
class NodeFacts:
    """The node, as far as specs depend on it."""

    kernel: tuple[int, int]
    architecture: str  # as `uname -m` says it
    hostname: str
    unified_cgroups: bool
    swap_controller: bool
    hugetlb_controller: bool
    effective_capabilities: tuple[str, ...]  # of this process, `CAP_` names in the kernel's order
    oom_score_adj: int  # of this process
    seccomp: bool
    apparmor: bool
    in_user_namespace: bool = False
    cgroup_mount_options: tuple[str, ...] = ()  # cgroup2's nsdelegate and memory_recursiveprot, where mounted so
    blockio_classes: Mapping[str, BlockIo] | None = None  # by name; None where none are configured
    rdt_rules: RdtRules | None = None  # None where no classes of cache and memory bandwidth are configured
