from __future__ import annotations

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.linux_spec import Seccomp
from cri_shim.oci.policy import Policy
from cri_shim.oci.seccomp import profile
from cri_shim.oci.seccomp_default import default_profile
from tests.oci.node import FACTS, FakeHost, facts

# Old clients still send the strings.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

KINDS = cri.SecurityProfileProfileType
DEFAULT = cri.SecurityProfile(profile_type=KINDS.RuntimeDefault)
HOST = FakeHost(profiles={"/p.json": b'{"defaultAction":"SCMP_ACT_LOG"}', "/bad.json": b'{"syscalls":[]}'})


def found(
    seccomp: cri.SecurityProfile | None = None,
    policy: Policy | None = None,
    *,
    has_seccomp: bool = True,
    **fields: object,
) -> Seccomp | None:
    context = cri.LinuxContainerSecurityContext(seccomp=seccomp, **fields)  # type: ignore[arg-type]
    return profile(context, ["CAP_KILL"], policy or Policy(), facts(seccomp=has_seccomp), HOST)


def localhost(reference: str) -> cri.SecurityProfile:
    return cri.SecurityProfile(profile_type=KINDS.Localhost, localhost_ref=reference)


def test_nothing_asked_for_is_unconfined() -> None:
    assert found() is None
    assert found(cri.SecurityProfile(profile_type=KINDS.Unconfined)) is None


def test_the_default_is_for_the_node_and_the_capabilities() -> None:
    assert found(DEFAULT) == default_profile(FACTS.kernel, FACTS.architecture, ("CAP_KILL",))
    assert found(seccomp_profile_path="docker/default") == found(DEFAULT)
    assert found(policy=Policy(unset_seccomp_profile="runtime/default")) == found(DEFAULT)


def test_a_privileged_container_has_none_whatever_is_asked_for() -> None:
    assert found(DEFAULT, privileged=True) is None
    assert found(seccomp_profile_path="nonsense", privileged=True) is None


def test_a_profile_of_the_node_is_read() -> None:
    assert found(localhost("/p.json")) == Seccomp("SCMP_ACT_LOG")
    assert found(seccomp_profile_path="localhost//p.json") == Seccomp("SCMP_ACT_LOG")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("p.json", "localhost_ref 'p.json': it must be the absolute path"),
        ("/none.json", "cannot load seccomp profile '/none.json': No such file or directory"),
        ("/bad.json", "'/bad.json' is no OCI seccomp profile: Object missing required field `defaultAction`"),
    ],
)
def test_a_profile_that_cannot_be_had_is_refused(reference: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        found(localhost(reference))
    assert words in str(caught.value)


def test_a_kernel_without_seccomp_has_only_unconfined() -> None:
    assert found(has_seccomp=False) is None
    with pytest.raises(InvalidArgument, match=r"seccomp is not supported"):
        found(DEFAULT, has_seccomp=False)
