"""Where cgroups are found."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.errors import NotFound
from cri_shim.linux import mountinfo
from cri_shim.stats.group import SplitGroup, UnifiedGroup
from cri_shim.stats.hierarchy import Hierarchies, Mounted, _split, _unified, slice_path, up_to

ID = "a" * 64
V1 = b"""\
503 498 0:206 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
504 503 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
505 503 0:32 /docker/x /elsewhere/memory rw - cgroup cgroup rw,memory
506 503 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
507 503 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
508 503 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""
V2 = b"""\
30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate
31 23 0:26 /pod /var/lib/else rw,nosuid - cgroup2 cgroup2 rw,nsdelegate
"""


def test_each_controller_of_v1_is_where_it_is_mounted_as_a_whole():
    found = _split(mountinfo.parse(V1))
    assert {name: mounted.target for name, mounted in found.items()} == {
        "cpu": "/sys/fs/cgroup/cpu,cpuacct",
        "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
        "memory": "/sys/fs/cgroup/memory",
        "": "/sys/fs/cgroup/unified",
    }


def test_v2_is_where_it_is_mounted_as_a_whole():
    assert _unified(mountinfo.parse(V2))[0] == Mounted("/sys/fs/cgroup")


def test_a_group_is_looked_for_below_what_its_mount_shows():
    assert Mounted("/mnt", "/docker/x").directory("/docker/x/pod/one") == "/mnt/pod/one"
    assert Mounted("/mnt", "/docker/x").directory("/docker/x") == "/mnt"
    assert Mounted("/mnt", "/docker/x").directory("/docker/y") is None
    assert Mounted("/mnt").directory("/../beside") is None


@pytest.mark.parametrize(
    ("path", "group"),
    [
        (f"/kubepods/pod1/{ID}", f"/kubepods/pod1/{ID}"),
        (f"/kubepods/pod1/{ID}/init.scope", f"/kubepods/pod1/{ID}"),
        (f"/kubepods.slice/cri-containerd-{ID}.scope/system.slice/x", f"/kubepods.slice/cri-containerd-{ID}.scope"),
        ("/elsewhere", "/elsewhere"),
        ("/", "/"),
    ],
)
def test_an_init_that_moved_further_down_is_in_the_containers_group(path, group):
    assert up_to(path, ID) == group


@pytest.mark.parametrize(
    ("parent", "path"),
    [
        ("/kubepods/burstable/pod1", "/kubepods/burstable/pod1"),
        ("/kubepods.slice/kubepods-pod1.slice", "/kubepods.slice/kubepods-pod1.slice"),
        ("kubepods-burstable-pod1.slice", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice"),
        ("pods/one", "/pods/one"),
    ],
)
def test_a_slice_is_where_systemd_puts_it(parent, path):
    assert slice_path(parent) == path


@given(st.lists(st.from_regex(r"[a-z]{1,5}", fullmatch=True), min_size=1, max_size=5))
def test_each_slice_on_the_way_is_the_beginning_of_the_next(words):
    path = slice_path("-".join(words) + ".slice").split("/")
    assert len(path) == len(words) + 1
    assert all(inner.startswith(outer.removesuffix(".slice")) for outer, inner in itertools.pairwise(path))


def test_this_very_process_has_a_group_that_can_be_read():
    group = Hierarchies.of_this_node().of_process(os.getpid())
    assert isinstance(group, SplitGroup | UnifiedGroup)


def test_a_process_that_has_ended_has_none():
    with pytest.raises(NotFound):
        Hierarchies(unified=Mounted("/sys/fs/cgroup")).of_process(2**22 + 1)


def test_a_path_is_the_same_in_each_of_v1s_hierarchies(tmp_path):
    split = {name: Mounted(str(tmp_path / name)) for name in ("cpuacct", "memory")}
    group = Hierarchies(split=split).of_path("/kubepods/pod1")
    assert isinstance(group, SplitGroup)
    assert group.directories == {name: str(tmp_path / name / "kubepods/pod1") for name in split}
