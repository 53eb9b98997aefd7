"""What the metrics tell beyond the stats, alike from both versions' files."""

from __future__ import annotations

import os
import shutil

import pytest

from cri_shim.stats.details import Details, Hugepages, OpenFiles, details_of, open_files
from cri_shim.stats.group import SplitGroup, UnifiedGroup
from tests.stats import made

MIB = 1 << 20


@pytest.fixture
def unified(tmp_path):
    made.write(tmp_path / "v2", made.UNIFIED)
    return UnifiedGroup("/pod/one", str(tmp_path / "v2"))


@pytest.fixture
def split(tmp_path):
    made.write(tmp_path / "v1", made.SPLIT)
    return SplitGroup("/pod/one", {path.name: str(path) for path in (tmp_path / "v1").iterdir()})


def test_both_versions_tell_the_same_of_memory(unified, split):
    new, old = details_of(unified), details_of(split)
    for name in ("cache", "mapped_file", "active_file", "kernel", "most_memory", "fail_count", "oom_kills"):
        assert getattr(new, name) == getattr(old, name) > 0, name


def test_times_are_nanoseconds(unified, split):
    new, old = details_of(unified), details_of(split)
    assert (new.user, new.system, new.throttled) == (10**9, 234_567_000, 345_678_000)
    tick = 10**9 // os.sysconf("SC_CLK_TCK")
    assert (old.user, old.system, old.throttled) == (200 * tick, 100 * tick, 5 * 10**9)
    assert (new.periods, new.throttled_periods) == (50, 7)
    assert (old.periods, old.throttled_periods) == (10, 3)


def test_huge_pages_limits_io_and_processes(unified, split):
    new, old = details_of(unified), details_of(split)
    assert new.hugepages == (Hugepages("2MB", 2 * MIB, 2 * MIB),)
    assert old.hugepages == (Hugepages("2MB", 2 * MIB, 4 * MIB),)
    assert (new.threads_limit, old.threads_limit) == (100, 0)
    assert (len(new.io), len(old.io)) == (1, 1)
    assert (new.pids, old.pids) == ((4711, 4712), (4711,))


def test_processes_in_groups_further_down_count(unified, tmp_path):
    made.write(tmp_path / "v2" / "init.scope", {"cgroup.procs": "4713\n"})
    assert sorted(details_of(unified).pids) == [4711, 4712, 4713]


def test_a_group_that_has_gone_tells_nothing(unified, tmp_path):
    shutil.rmtree(tmp_path / "v2")
    assert details_of(unified) == Details()


def test_what_a_process_has_open():
    before = open_files([os.getpid()])
    read, write = os.pipe()
    after = open_files([os.getpid()])
    os.close(read)
    os.close(write)
    assert after.descriptors == before.descriptors + 2
    assert after.limit > 0
    assert open_files([2**22 + 1]) == OpenFiles(0, 0, None)
    assert open_files([]) == OpenFiles(0, 0, None)
