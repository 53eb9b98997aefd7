"""How likely the kernel is to end a process when memory is short."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.policy import Policy

PAUSE = -998


def oom_score_adj(wanted: int, policy: Policy, facts: NodeFacts) -> int:
    """`wanted`; with `restrict_oom_score_adj` no less than our own: lowering takes CAP_SYS_RESOURCE."""
    return max(wanted, facts.oom_score_adj) if policy.restrict_oom_score_adj else wanted
