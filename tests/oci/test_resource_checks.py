"""Limits that nothing could be given are refused by field and value."""

from __future__ import annotations

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.resource_checks import check_resources

Resources = cri.LinuxContainerResources


@pytest.mark.parametrize(
    "fine",
    [
        Resources(),
        Resources(cpu_period=1000, cpu_quota=-1, cpu_shares=2, oom_score_adj=-1000),
        Resources(cpu_period=1_000_000, cpu_quota=1000, cpuset_cpus="0-3,7", cpuset_mems="0"),
        Resources(memory_limit_in_bytes=-1, memory_swap_limit_in_bytes=-1),
        Resources(memory_limit_in_bytes=4096, memory_swap_limit_in_bytes=4096),
        Resources(memory_swap_limit_in_bytes=1),
        Resources(hugepage_limits=[cri.HugepageLimit(page_size="2MB"), cri.HugepageLimit(page_size="1GB", limit=7)]),
        Resources(unified={"memory.high": "1", "hugetlb.2MB.max": "max", "memory.swap.max": "0"}),
    ],
)
def test_what_can_be_is_left_alone(fine):
    check_resources("linux", fine)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (Resources(cpu_period=999), "cpu_period is 999: it must be 1000 to 1000000"),
        (Resources(cpu_period=-5), "cpu_period is -5"),
        (Resources(cpu_quota=999), "cpu_quota is 999"),
        (Resources(cpu_shares=-1), "cpu_shares is -1"),
        (Resources(memory_limit_in_bytes=-2), "memory_limit_in_bytes is -2"),
        (Resources(memory_swap_limit_in_bytes=-2), "memory_swap_limit_in_bytes is -2"),
        (Resources(memory_limit_in_bytes=9, memory_swap_limit_in_bytes=8), "memory_swap_limit_in_bytes is 8, less"),
        (Resources(cpuset_cpus="0-"), "cpuset_cpus is '0-'"),
        (Resources(cpuset_mems="all"), "cpuset_mems is 'all'"),
        (Resources(oom_score_adj=1001), "oom_score_adj is 1001"),
        (Resources(hugepage_limits=[cri.HugepageLimit(page_size="2Mi")]), r"hugepage_limits\[0\].page_size is '2Mi'"),
        (Resources(unified={"../memory.max": "1"}), "unified has '../memory.max'"),
    ],
)
def test_what_can_not_be_is_named(wrong, text):
    with pytest.raises(InvalidArgument, match=f"^config.linux.resources.{text}"):
        check_resources("config.linux.resources", wrong)
