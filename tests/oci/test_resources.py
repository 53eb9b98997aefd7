from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.linux_spec import Cpu, DeviceRule, HugepageLimit, Linux, Memory, Resources
from cri_shim.oci.policy import Policy
from cri_shim.oci.resources import applied, resources_of, updated, with_resources
from cri_shim.oci.spec import Process, Spec
from tests.oci.node import FACTS, facts

BASE = Resources(devices=[DeviceRule(allow=False, access="rwm")])
GIB = 1 << 30


def made(wanted: cri.LinuxContainerResources, policy: Policy | None = None, **node: object) -> Resources:
    return applied(BASE, wanted, policy or Policy(), facts(**node))


def test_nothing_given_changes_nothing() -> None:
    assert applied(BASE, None, Policy(), FACTS) == BASE


def test_what_is_set_is_applied_and_zero_is_unset() -> None:
    wanted = cri.LinuxContainerResources(
        cpu_period=100000, cpu_quota=-1, cpu_shares=512, cpuset_cpus="0-1", cpuset_mems="0", unified={"io.weight": "9"}
    )
    assert made(wanted) == Resources(
        devices=BASE.devices,
        cpu=Cpu(period=100000, quota=-1, shares=512, cpus="0-1", mems="0"),
        memory=Memory(),
        unified={"io.weight": "9"},
    )
    assert made(cri.LinuxContainerResources()) == Resources(devices=BASE.devices, cpu=Cpu(), memory=Memory())


@pytest.mark.parametrize(
    ("limit", "swap", "controller", "expected"),
    [
        (GIB, 0, True, Memory(limit=GIB, swap=GIB)),
        (GIB, 2 * GIB, True, Memory(limit=GIB, swap=2 * GIB)),
        (GIB, -1, True, Memory(limit=GIB, swap=-1)),
        (0, GIB, True, Memory(swap=GIB)),
        (GIB, 0, False, Memory(limit=GIB)),
        (GIB, 2 * GIB, False, Memory(limit=GIB)),
    ],
)
def test_a_memory_limit_alone_allows_no_swap(limit: int, swap: int, expected: Memory, *, controller: bool) -> None:
    wanted = cri.LinuxContainerResources(memory_limit_in_bytes=limit, memory_swap_limit_in_bytes=swap)
    assert made(wanted, swap_controller=controller).memory == expected


HUGE = cri.LinuxContainerResources(hugepage_limits=[cri.HugepageLimit(page_size="2MB", limit=4)])
ENABLED = Policy(disable_hugetlb_controller=False)
STRICT = Policy(disable_hugetlb_controller=False, tolerate_missing_hugetlb_controller=False)


def test_huge_pages_are_limited_where_that_is_enabled_and_can_be_done() -> None:
    assert made(HUGE).hugepage_limits == []
    assert made(HUGE, ENABLED).hugepage_limits == [HugepageLimit("2MB", 4)]
    assert made(HUGE, ENABLED, hugetlb_controller=False).hugepage_limits == []


def test_huge_pages_of_a_base_spec_are_limited_only_where_that_is_enabled() -> None:
    base = Resources(hugepage_limits=[HugepageLimit("1GB", 1)])
    for wanted in (None, cri.LinuxContainerResources()):
        assert applied(base, wanted, Policy(), FACTS).hugepage_limits == []
        assert applied(base, wanted, ENABLED, FACTS).hugepage_limits == base.hugepage_limits


def test_a_missing_controller_that_is_not_tolerated_is_named() -> None:
    with pytest.raises(InvalidArgument, match=r"config.linux.resources.hugepage_limits.*no hugetlb cgroup controller"):
        made(HUGE, STRICT, hugetlb_controller=False)
    assert made(cri.LinuxContainerResources(), STRICT, hugetlb_controller=False).hugepage_limits == []


def test_an_update_keeps_what_it_does_not_name() -> None:
    spec = Spec(process=Process(oom_score_adj=7), linux=Linux(cgroups_path="/c", resources=made(HUGE, ENABLED)))
    first = updated(spec, cri.LinuxContainerResources(cpu_shares=5, unified={"a": "1"}), ENABLED, FACTS)
    wanted = cri.LinuxContainerResources(
        cpu_quota=9,
        oom_score_adj=100,
        hugepage_limits=[cri.HugepageLimit(page_size="2MB", limit=8)],
        unified={"b": "2"},
    )
    second = updated(first, wanted, ENABLED, FACTS)
    assert second.linux == Linux(
        cgroups_path="/c",
        resources=Resources(
            devices=BASE.devices,
            cpu=Cpu(shares=5, quota=9),
            memory=Memory(),
            hugepage_limits=[HugepageLimit("2MB", 8)],
            unified={"a": "1", "b": "2"},
        ),
    )
    assert second.process == spec.process


def test_a_spec_without_anything_can_be_updated_and_told() -> None:
    assert updated(Spec(), None, Policy(), FACTS) == Spec(linux=Linux(resources=Resources()))
    assert resources_of(Spec()) == cri.ContainerResources(linux=cri.LinuxContainerResources())


AMOUNT = st.integers(0, 2**62)


@given(st.tuples(AMOUNT, AMOUNT, AMOUNT, AMOUNT, AMOUNT), st.sampled_from(["", "0", "0-3"]), st.integers(-1000, 1000))
def test_the_status_tells_what_was_asked_for(amounts: tuple[int, ...], cpus: str, score: int) -> None:
    period, quota, shares, limit, more = amounts
    wanted = cri.LinuxContainerResources(
        cpu_period=period,
        cpu_quota=quota,
        cpu_shares=shares,
        cpuset_cpus=cpus,
        memory_limit_in_bytes=limit,
        memory_swap_limit_in_bytes=limit + more if limit else 0,
        oom_score_adj=score,
        hugepage_limits=HUGE.hugepage_limits,
        unified={"memory.high": "1"},
    )
    resources = applied(BASE, wanted, ENABLED, FACTS)
    told = resources_of(Spec(process=Process(oom_score_adj=score), linux=Linux(resources=resources)))
    assert told == cri.ContainerResources(linux=wanted)


def test_a_stored_spec_keeps_what_we_know_nothing_of_and_gets_the_new_limits() -> None:
    stored = b'{"ociVersion":"9.0","future":{"a":[1]},"linux":{"later":true,"resources":{"cpu":{"shares":1}}}}'
    spec = Spec(linux=Linux(resources=Resources(cpu=Cpu(shares=7))))
    assert json.loads(with_resources(stored, spec)) == {
        "ociVersion": "9.0",
        "future": {"a": [1]},
        "linux": {"later": True, "resources": {"cpu": {"shares": 7}}},
    }
    assert json.loads(with_resources(b"{}", Spec())) == {"linux": {"resources": {}}}
