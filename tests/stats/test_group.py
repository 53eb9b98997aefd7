"""The same usage, told by cgroup v1's files and by v2's."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from cri_shim.errors import NotFound
from cri_shim.stats.group import SplitGroup, UnifiedGroup
from cri_shim.stats.sample import Cpu, Sample, nano_cores, total
from tests.stats import made

MIB = 1 << 20


@pytest.fixture
def unified(tmp_path):
    made.write(tmp_path, made.UNIFIED)
    return UnifiedGroup("/pod/one", str(tmp_path))


@pytest.fixture
def split(tmp_path):
    made.write(tmp_path, made.SPLIT)
    names = {path.name for path in tmp_path.iterdir()}
    return SplitGroup("/pod/one", {name: str(tmp_path / name) for name in names})


def test_both_versions_tell_the_same_memory(unified, split):
    assert split.sample().memory == replace(unified.sample().memory, pressure=None)
    memory = split.sample().memory
    assert (memory.usage, memory.limit) == (20 * MIB, 64 * MIB)
    assert memory.working_set == 15 * MIB
    assert memory.available == 49 * MIB
    assert (memory.rss, memory.page_faults, memory.major_page_faults) == (8 * MIB, 4321, 21)


def test_cpu_time_is_in_nanoseconds(unified, split):
    assert unified.sample().cpu.usage == 1_234_567_000
    assert split.sample().cpu.usage == 25_141_773


def test_swap_has_a_limit_where_there_is_one(unified, split):
    assert (unified.sample().swap.usage, unified.sample().swap.limit) == (MIB, None)
    assert (split.sample().swap.usage, split.sample().swap.limit) == (MIB, 64 * MIB)


def test_processes_and_pressure(unified, split):
    sample = unified.sample()
    assert sample.processes == split.sample().processes == 5
    assert sample.cpu.pressure.some.total == 157_656_722_000
    assert sample.memory.pressure.full.avg10 == 0.25
    assert sample.io_pressure.some.avg60 == 0.87
    assert split.sample().io_pressure is None


def test_pressure_beside_v1_comes_from_v2s_corner(split, tmp_path):
    corner = tmp_path / "unified"
    made.write(corner, {"cpu.pressure": made.PRESSURE})
    sample = SplitGroup("/", {**split.directories, "": str(corner)}).sample()
    assert sample.cpu.pressure.some.avg300 == 0.12
    assert sample.memory.pressure is None


def test_memory_without_limit_has_nothing_available(unified, tmp_path):
    (tmp_path / "memory.max").write_text("max\n")
    assert (unified.sample().memory.limit, unified.sample().memory.available) == (None, 0)


def test_a_working_set_is_never_negative_and_nothing_available_above_the_limit(unified, tmp_path):
    (tmp_path / "memory.current").write_text("4096\n")
    assert unified.sample().memory.working_set == 0
    (tmp_path / "memory.current").write_text(f"{80 * MIB}\n")
    assert unified.sample().memory.available == 0


@pytest.mark.parametrize("which", ["unified", "split"])
def test_a_group_that_has_gone_is_not_found(request, which, tmp_path):
    group = request.getfixturevalue(which)
    shutil.rmtree(tmp_path)
    with pytest.raises(NotFound):
        group.sample()


@pytest.mark.parametrize(("which", "name"), [("unified", "memory.current"), ("split", "memory/memory.usage_in_bytes")])
def test_a_controller_that_is_off_is_left_out(request, which, name, tmp_path):
    group = request.getfixturevalue(which)
    (tmp_path / name).unlink()
    assert group.sample().memory is None
    assert group.sample().cpu is not None


def test_the_rate_is_cpu_time_over_the_time_between_two_looks():
    before, after = Sample(at=1_000_000_000, cpu=Cpu(500)), Sample(at=3_000_000_000, cpu=Cpu(1_000_000_500))
    assert nano_cores(before, after) == 500_000_000
    assert nano_cores(after, before) is None
    assert nano_cores(before, Sample(at=5)) is None
    assert nano_cores(after, Sample(at=4_000_000_000, cpu=Cpu(7))) == 0


def test_a_sum_has_a_limit_if_all_have_one(unified, split, tmp_path):
    one, other = unified.sample(), split.sample()
    both = total(7, [one, other])
    assert both.cpu.usage == one.cpu.usage + other.cpu.usage
    assert (both.memory.usage, both.memory.limit, both.processes) == (40 * MIB, 128 * MIB, 10)
    (tmp_path / "memory.max").write_text("max\n")
    assert total(7, [unified.sample(), other]).memory.limit is None
    assert total(7, []) == Sample(at=7, processes=0)
