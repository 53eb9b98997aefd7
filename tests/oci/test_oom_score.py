from __future__ import annotations

from cri_shim.oci.oom_score import oom_score_adj
from cri_shim.oci.policy import Policy
from tests.oci.node import facts


def test_a_score_is_as_asked_for() -> None:
    assert oom_score_adj(-998, Policy(), facts(oom_score_adj=-500)) == -998


def test_a_restricted_score_is_never_below_our_own() -> None:
    policy = Policy(restrict_oom_score_adj=True)
    assert oom_score_adj(-998, policy, facts(oom_score_adj=-500)) == -500
    assert oom_score_adj(100, policy, facts(oom_score_adj=-500)) == 100
