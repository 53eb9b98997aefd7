from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.api.runtime import v1 as cri
from cri_shim.oci.capabilities import capabilities
from cri_shim.oci.defaults import CAPABILITIES, default_capabilities
from cri_shim.oci.spec import Capabilities

OURS = ("CAP_CHOWN", "CAP_KILL", "CAP_SYS_ADMIN")


def bounding(add: list[str] | None = None, drop: list[str] | None = None) -> list[str]:
    wanted = cri.Capability(add_capabilities=add or [], drop_capabilities=drop or [])
    found = capabilities(default_capabilities(), wanted, OURS, privileged=False)
    assert found.bounding == found.effective == found.permitted
    assert not found.inheritable
    assert not found.ambient
    return found.bounding


def test_nothing_asked_for_leaves_the_default() -> None:
    assert capabilities(default_capabilities(), None, OURS, privileged=False) == default_capabilities()
    assert bounding() == list(CAPABILITIES)


@pytest.mark.parametrize("name", ["NET_ADMIN", "net_admin"])
def test_an_added_one_comes_last_however_it_is_spelled(name: str) -> None:
    assert bounding(add=[name, name, "CHOWN"]) == [*CAPABILITIES, "CAP_NET_ADMIN"]


def test_a_name_with_the_prefix_names_no_capability() -> None:
    assert bounding(add=["CAP_SYS_ADMIN"], drop=["CAP_CHOWN"]) == [*CAPABILITIES, "CAP_CAP_SYS_ADMIN"]


def test_a_dropped_one_is_gone_even_if_it_was_added() -> None:
    assert bounding(add=["NET_ADMIN"], drop=["net_admin", "KILL", "UNHEARD_OF"]) == [
        name for name in CAPABILITIES if name != "CAP_KILL"
    ]


def test_all_is_all_that_we_have() -> None:
    assert bounding(add=["all"]) == list(OURS)
    assert bounding(add=["ALL"], drop=["CHOWN"]) == ["CAP_KILL", "CAP_SYS_ADMIN"]


def test_dropping_all_comes_before_adding_single_ones() -> None:
    assert bounding(drop=["All"]) == []
    assert bounding(add=["NET_RAW"], drop=["ALL"]) == ["CAP_NET_RAW"]
    assert bounding(add=["ALL", "NET_RAW"], drop=["ALL"]) == ["CAP_NET_RAW"]


def test_privileged_is_all_that_we_have_whatever_is_dropped() -> None:
    wanted = cri.Capability(drop_capabilities=["ALL"])
    found = capabilities(default_capabilities(), wanted, OURS, privileged=True)
    assert found.bounding == found.effective == found.permitted == list(OURS)


def test_a_base_specs_sets_are_changed_each_by_itself_and_its_ambient_ones_cleared() -> None:
    base = Capabilities(bounding=["CAP_A"], inheritable=["CAP_A", "CAP_B"], ambient=["CAP_A"])
    wanted = cri.Capability(add_capabilities=["C"], drop_capabilities=["A"])
    assert capabilities(base, wanted, OURS, privileged=False) == Capabilities(
        bounding=["CAP_C"], effective=["CAP_C"], permitted=["CAP_C"], inheritable=["CAP_B"]
    )
    assert capabilities(base, None, OURS, privileged=False).ambient == []


def test_an_ambient_one_is_in_all_sets_unless_it_is_dropped() -> None:
    wanted = cri.Capability(
        add_capabilities=["CHOWN"], add_ambient_capabilities=["chown", "NET_RAW", "KILL"], drop_capabilities=["KILL"]
    )
    found = capabilities(Capabilities(bounding=["CAP_KILL"]), wanted, OURS, privileged=False)
    assert found.ambient == found.inheritable == found.bounding == found.effective == ["CAP_CHOWN", "CAP_NET_RAW"]
    everything = cri.Capability(add_ambient_capabilities=["ALL"], drop_capabilities=["ALL"])
    assert capabilities(default_capabilities(), everything, OURS, privileged=False).ambient == list(OURS)


def test_a_privileged_containers_ambient_ones_are_those_asked_for_that_we_have() -> None:
    wanted = cri.Capability(add_ambient_capabilities=["KILL", "NET_ADMIN"])
    found = capabilities(default_capabilities(), wanted, OURS, privileged=True)
    assert (found.bounding, found.ambient, found.inheritable) == (list(OURS), ["CAP_KILL"], ["CAP_KILL"])


def test_what_a_base_spec_makes_inheritable_stays_so_while_it_can_be_had() -> None:
    base = Capabilities(bounding=["CAP_A"], inheritable=["CAP_KILL", "CAP_A"])
    everything = cri.Capability(add_capabilities=["ALL"])
    assert capabilities(base, everything, OURS, privileged=False).inheritable == ["CAP_KILL"]
    assert capabilities(base, None, OURS, privileged=True).inheritable == ["CAP_KILL"]
    assert capabilities(base, cri.Capability(drop_capabilities=["ALL"]), OURS, privileged=False) == Capabilities()


NAMES = st.sampled_from(["ALL", "CHOWN", "KILL", "NET_ADMIN", "SYS_TIME"])


@given(st.lists(NAMES), st.lists(NAMES))
def test_nothing_single_that_is_dropped_stays_and_nothing_single_that_is_added_is_lost(
    add: list[str], drop: list[str]
) -> None:
    found = bounding(add, drop)
    assert len(found) == len(set(found))
    for name in set(drop) - {"ALL"}:
        assert f"CAP_{name}" not in found
    for name in set(add) - set(drop) - {"ALL"}:
        assert f"CAP_{name}" in found
    if "ALL" in drop:
        assert set(found) <= {f"CAP_{name}" for name in add}
