"""Mounts that show files as other users', and trees that are given to them. These need root."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest

from cri_shim import errors
from cri_shim.linux import mounts
from cri_shim.linux.shift_owners import Owners, shift
from cri_shim.linux.userns import IdMapping, parse

if TYPE_CHECKING:
    from pathlib import Path

FIRST = 100_000
MAPS = (f"uidmap=0:{FIRST}:65536", f"gidmap=0:{FIRST}:1000,1000:{FIRST + 5000}:10")
OWNERS = Owners([IdMapping(0, FIRST, 65_536)], [IdMapping(0, FIRST, 1000)])
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw=ep, for the node's root

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def mapped_or_skip(source: str, target: str, fstype: str, options: list[str], scratch: str) -> None:
    try:
        mounts.mount(source, target, fstype, options, scratch=scratch)
    except OSError as error:
        if error.errno == errno.EINVAL:
            pytest.skip("the file system of the test's directory can't map ids")
        raise


@needs_root
def test_a_bind_mount_shows_mapped_ids(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for directory in (source, target):
        directory.mkdir()
    (source / "file").touch()
    os.chown(source / "file", 7, 1003)
    before = mounts.mountinfo()
    mapped_or_skip(str(source), str(target), "bind", ["rbind", *MAPS], str(tmp_path))
    try:
        status = os.stat(target / "file")
        assert (status.st_uid, status.st_gid) == (FIRST + 7, FIRST + 5003)
        assert len(mounts.mountinfo()) == len(before) + 1
    finally:
        mounts.unmount(str(target))
    assert os.listdir(target) == []


@needs_root
def test_the_layers_of_an_overlay_are_mapped_and_nothing_else_stays_mounted(tmp_path: Path) -> None:
    names = ("layers/1/fs", "layers/2/fs", "layers/3/fs", "layers/3/work", "target", "scratch")
    one, two, upper, work, target, scratch = (tmp_path / name for name in names)
    for directory in (one, two, upper, work, target):
        directory.mkdir(parents=True)
    (one / "below").touch()
    (two / "above").touch()
    options = ["index=off", f"workdir={work}", f"upperdir={upper}", f"lowerdir={two}:{one}", *MAPS]
    before = mounts.mountinfo()
    mapped_or_skip("overlay", str(target), "overlay", options, str(scratch))
    try:
        assert sorted(os.listdir(target)) == ["above", "below"]
        assert {os.stat(target / name).st_uid for name in ("above", "below")} == {FIRST}
        assert len(mounts.mountinfo()) == len(before) + 1
        assert os.listdir(scratch) == []
    finally:
        mounts.unmount(str(target))


@needs_root
def test_mappings_that_are_none_leave_nothing_mounted(tmp_path: Path) -> None:
    before = mounts.mountinfo()
    for options in (["uidmap=0:1:1"], ["uidmap=a", "gidmap=0:1:1"], ["uidmap=0:1", "gidmap=0:1:1"]):
        with pytest.raises(errors.InvalidArgument):
            mounts.mount(str(tmp_path), str(tmp_path), "bind", ["bind", *options])
    layers = ["lowerdir=/a:/b", "uidmap=0:1:1", "gidmap=0:1:1"]
    with pytest.raises(errors.InvalidArgument, match="have no directory"):
        mounts.mount("overlay", str(tmp_path), "overlay", layers, scratch=str(tmp_path))
    assert mounts.mountinfo() == before
    assert os.listdir(tmp_path) == []


def test_mappings_are_read_as_containerd_writes_them() -> None:
    assert parse("0:100000:65536,70000:1:2") == [IdMapping(0, 100_000, 65_536), IdMapping(70_000, 1, 2)]
    for text in ("", "0:1", "0:1:2:3", "-1:0:1", "a:b:c", "0:1:2,"):
        with pytest.raises(ValueError, match=r"invalid literal|no mapping"):
            parse(text)


@needs_root
def test_a_tree_is_given_away_with_its_links_modes_and_capabilities_and_back(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "below").mkdir(parents=True)
    for name, uid, mode in (("plain", 0, 0o644), ("set-id", 5, 0o6755), ("able", 0, 0o755)):
        (root / name).touch()
        os.chown(root / name, uid, uid)
        os.chmod(root / name, mode)
    os.setxattr(root / "able", "security.capability", CAPABILITY)
    os.link(root / "plain", root / "below/same")
    os.symlink("/no/such", root / "link")
    os.mkfifo(root / "fifo")
    shift(str(root), OWNERS)
    assert {os.lstat(root / name).st_uid for name in (".", "below", "plain", "below/same", "link", "fifo")} == {FIRST}
    changed = os.stat(root / "set-id")
    assert (changed.st_uid, changed.st_gid, stat.S_IMODE(changed.st_mode)) == (FIRST + 5, FIRST + 5, 0o6755)
    assert os.getxattr(root / "able", "security.capability") == (
        CAPABILITY[:3] + b"\3" + CAPABILITY[4:] + FIRST.to_bytes(4, "little")
    )
    shift(str(root), OWNERS.reversed())
    assert [os.stat(root / name).st_uid for name in ("plain", "set-id", "below")] == [0, 5, 0]


@needs_root
def test_a_file_of_somebody_without_an_id_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.chown(tmp_path / "file", 0, 1000)
    with pytest.raises(errors.FailedPrecondition, match="/file belongs to 0:1000, which the pod's userns_options"):
        shift(str(tmp_path), OWNERS)
