"""What limits must be in themselves, so that no runtime or kernel refuses them half-way.

Source: kernel `Documentation/scheduler/sched-bwc.rst`, `admin-guide/cgroup-v1/{cpusets,memory,hugetlb}.rst`,
`admin-guide/cgroup-v2.rst`; proc_pid_oom_score_adj(5).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cri_shim.errors import InvalidArgument

if TYPE_CHECKING:
    from cri_shim.api.runtime import v1 as cri

_PERIOD: Final = (1_000, 1_000_000)  # microseconds
_LEAST_QUOTA: Final = 1_000  # microseconds
_UNLIMITED: Final = -1
_SCORE: Final = 1_000
_RANGE: Final = r"\d+(-\d+)?"
_SET: Final = re.compile(rf"{_RANGE}(,{_RANGE})*")
_PAGES: Final = re.compile(r"[1-9]\d*[KMGT]B")
_FILE: Final = re.compile(r"[a-z0-9_]+(\.[A-Za-z0-9_]+)+")


def check_resources(field: str, wanted: cri.LinuxContainerResources) -> None:
    """Raise InvalidArgument for limits that nothing could be given; zero and "" stand for none."""
    low, high = _PERIOD
    _require(
        not wanted.cpu_period or low <= wanted.cpu_period <= high,
        f"{field}.cpu_period is {wanted.cpu_period}: it must be {low} to {high} microseconds",
    )
    _require(
        wanted.cpu_quota <= 0 or wanted.cpu_quota >= _LEAST_QUOTA,
        f"{field}.cpu_quota is {wanted.cpu_quota}: it must be at least {_LEAST_QUOTA} microseconds, or -1 for no limit",
    )
    _require(wanted.cpu_shares >= 0, f"{field}.cpu_shares is {wanted.cpu_shares}: it must not be negative")
    _check_memory(field, wanted)
    for name, value in (("cpuset_cpus", wanted.cpuset_cpus), ("cpuset_mems", wanted.cpuset_mems)):
        _require(
            not value or _SET.fullmatch(value) is not None,
            f"{field}.{name} is {value!r:.100}: give numbers and ranges, as in 0-2,7",
        )
    _require(
        abs(wanted.oom_score_adj) <= _SCORE,
        f"{field}.oom_score_adj is {wanted.oom_score_adj}: it must be -{_SCORE} to {_SCORE}",
    )
    for index, item in enumerate(wanted.hugepage_limits):
        _require(
            _PAGES.fullmatch(item.page_size) is not None,
            f"{field}.hugepage_limits[{index}].page_size is {item.page_size!r:.100}: give a size as the kernel, 2MB",
        )
    for name in wanted.unified:
        _require(
            _FILE.fullmatch(name) is not None,
            f"{field}.unified has {name!r:.100}: its keys are names of cgroup v2 files, as memory.high",
        )


def _check_memory(field: str, wanted: cri.LinuxContainerResources) -> None:
    limit, swap = wanted.memory_limit_in_bytes, wanted.memory_swap_limit_in_bytes
    for name, value in (("memory_limit_in_bytes", limit), ("memory_swap_limit_in_bytes", swap)):
        _require(value >= _UNLIMITED, f"{field}.{name} is {value}: give bytes, or -1 for no limit")
    _require(
        not (limit > 0 and swap > 0) or swap >= limit,
        f"{field}.memory_swap_limit_in_bytes is {swap}, less than memory_limit_in_bytes ({limit}): "
        "it limits memory and swap together",
    )


def _require(fine: bool, text: str) -> None:  # noqa: FBT001  (what is required stands first)
    if not fine:
        raise InvalidArgument(text)
