from __future__ import annotations

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import FailedPrecondition, InvalidArgument
from cri_shim.oci.apparmor import DEFAULT_PROFILE, profile
from cri_shim.oci.policy import Policy
from tests.oci.node import FakeHost, facts

# Old clients still send the strings.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

KINDS = cri.SecurityProfileProfileType
DEFAULT = cri.SecurityProfile(profile_type=KINDS.RuntimeDefault)
UNCONFINED = cri.SecurityProfile(profile_type=KINDS.Unconfined)


def found(
    apparmor: cri.SecurityProfile | None = None,
    *,
    has: bool = True,
    policy: Policy | None = None,
    loaded: frozenset[str] | None = frozenset({"mine", DEFAULT_PROFILE}),
    **fields: object,
) -> str:
    context = cri.LinuxContainerSecurityContext(apparmor=apparmor, **fields)  # type: ignore[arg-type]
    return profile(context, policy or Policy(), facts(apparmor=has), FakeHost(apparmor=loaded))


def localhost(reference: str) -> cri.SecurityProfile:
    return cri.SecurityProfile(profile_type=KINDS.Localhost, localhost_ref=reference)


def test_the_default_is_the_default() -> None:
    assert found() == found(DEFAULT) == found(apparmor_profile="runtime/default") == DEFAULT_PROFILE


def test_no_container_runs_without_the_default_because_it_could_not_be_loaded() -> None:
    for wanted in (None, DEFAULT):
        with pytest.raises(FailedPrecondition, match=r"cri-containerd\.apparmor\.d can't be looked for or loaded"):
            found(wanted, loaded=None)


def test_unconfined_is_none() -> None:
    assert found(UNCONFINED) == ""
    assert found(apparmor_profile="unconfined") == ""


def test_a_privileged_container_has_only_what_the_node_has_for_it() -> None:
    assert found(privileged=True) == ""
    assert found(DEFAULT, privileged=True) == ""
    assert found(localhost("mine"), privileged=True) == "mine"


def test_a_profile_of_the_node_must_be_loaded() -> None:
    assert found(localhost("mine")) == "mine"
    assert found(apparmor_profile="localhost/mine") == "mine"
    with pytest.raises(InvalidArgument, match=r"apparmor profile not found other: load it"):
        found(localhost("other"))
    with pytest.raises(FailedPrecondition, match=r"mine can't be looked for"):
        found(localhost("mine"), loaded=None)


@pytest.mark.parametrize(
    ("has", "policy", "reason"),
    [(False, Policy(), "the node doesn't have it"), (True, Policy(disable_apparmor=True), "disable_apparmor is set")],
)
def test_where_it_is_not_to_be_had_only_unconfined_is(*, has: bool, policy: Policy, reason: str) -> None:
    assert found(has=has, policy=policy) == ""
    assert found(UNCONFINED, has=has, policy=policy) == ""
    for wanted in (DEFAULT, localhost("mine")):
        with pytest.raises(InvalidArgument, match=f"apparmor is not supported: {reason}"):
            found(wanted, has=has, policy=policy)
