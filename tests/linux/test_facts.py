from __future__ import annotations

import os
from pathlib import Path

import pytest

from cri_shim.linux import facts
from cri_shim.linux.mountinfo import parse


def test_this_node_can_be_told() -> None:
    found = facts.gather()
    assert found.hostname == os.uname().nodename
    assert found.kernel >= (4, 0)
    assert found.oom_score_adj == int(Path("/proc/self/oom_score_adj").read_text())
    assert all(name.startswith("CAP_") for name in found.effective_capabilities)
    assert found.seccomp == ("Seccomp:" in Path("/proc/self/status").read_text())


@pytest.mark.parametrize(
    ("release", "expected"),
    [("6.1.0-18-amd64", (6, 1)), ("5.15", (5, 15)), ("4.19.0+", (4, 19)), ("weird", (0, 0)), ("", (0, 0))],
)
def test_a_kernel_is_its_first_two_numbers(release: str, expected: tuple[int, int]) -> None:
    assert facts.kernel_version(release) == expected


@pytest.mark.parametrize(
    ("enabled", "container", "parser", "expected"),
    [("Y\n", "", True, True), ("N\n", "", True, False), ("Y\n", "lxc", True, False), ("Y\n", "", False, False)],
)
def test_apparmor_takes_kernel_parser_and_no_container_around_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enabled: str, container: str, *, parser: bool, expected: bool
) -> None:
    (tmp_path / "enabled").write_text(enabled)
    (tmp_path / "kernel").mkdir()
    if parser:
        (tmp_path / "parser").write_text("")
    monkeypatch.setattr(facts, "_APPARMOR_ENABLED", str(tmp_path / "enabled"))
    monkeypatch.setattr(facts, "_APPARMOR", str(tmp_path / "kernel"))
    monkeypatch.setattr(facts, "_APPARMOR_PARSER", str(tmp_path / "parser"))
    monkeypatch.setenv("container", container)
    assert facts._apparmor() is expected


def test_swap_is_where_the_cgroup_version_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_V1_SWAP", str(tmp_path / "memsw"))
    monkeypatch.setattr(facts, "_V2_ROOT", str(tmp_path))
    monkeypatch.setattr(facts.cgroups, "own_group", lambda: "/system.slice/shim.service")
    assert not facts._swap(unified=False)
    assert not facts._swap(unified=True)
    (tmp_path / "memsw").write_text("")
    (tmp_path / "system.slice/shim.service").mkdir(parents=True)
    (tmp_path / "system.slice/shim.service/memory.swap.max").write_text("")
    assert facts._swap(unified=False)
    assert facts._swap(unified=True)


def test_huge_pages_can_be_limited_where_the_controller_is_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "_V1_HUGETLB", str(tmp_path / "hugetlb"))
    monkeypatch.setattr(facts.cgroups, "controllers", lambda: frozenset({"cpu", "hugetlb"}))
    assert facts._hugetlb(unified=True)
    assert not facts._hugetlb(unified=False)
    (tmp_path / "hugetlb").mkdir()
    assert facts._hugetlb(unified=False)
    monkeypatch.setattr(facts.cgroups, "controllers", lambda: frozenset({"cpu"}))
    assert not facts._hugetlb(unified=True)


@pytest.mark.parametrize(
    ("place", "options", "expected"),
    [
        ("/sys/fs/cgroup", "rw,nsdelegate,memory_recursiveprot", ("nsdelegate", "memory_recursiveprot")),
        ("/sys/fs/cgroup", "rw,memory_localevents", ()),
        ("/elsewhere", "rw,nsdelegate", ()),
    ],
)
def test_the_cgroup_mounts_own_options_are_those_that_a_container_must_keep(
    monkeypatch: pytest.MonkeyPatch, place: str, options: str, expected: tuple[str, ...]
) -> None:
    line = f"1 0 0:1 / {place} rw - cgroup2 cgroup {options}".encode()
    monkeypatch.setattr(facts.mountinfo, "read", lambda: parse(line))
    assert facts._cgroup_options() == expected
