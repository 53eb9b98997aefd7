"""Atomic replacement, and removal that may be repeated."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cri_shim.linux import files


def test_a_file_is_replaced_as_a_whole_with_its_mode(tmp_path):
    path = tmp_path / "status"
    files.write_atomic(str(path), b"old", 0o644)
    files.write_atomic(str(path), b"new", 0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["status"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "status"
    path.mkdir()
    (path / "x").touch()
    with pytest.raises(OSError, match="directory"):
        files.write_atomic(str(path), b"new", 0o600)
    assert os.listdir(tmp_path) == ["status"]


def test_what_a_killed_write_left_goes_with_its_file_and_nothing_else_does(tmp_path):
    path = tmp_path / "net-[a]*"
    killed = "import os; from cri_shim.linux import files; os.replace = lambda *_: os._exit(9); "
    killed += f"files.write_atomic({str(path)!r}, b'new', 0o600)"  # whole, and without a name yet
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == 9
    path.touch()
    (tmp_path / "net-[a]*2").touch()
    assert len(os.listdir(tmp_path)) == 3
    files.remove_written(str(path))
    files.remove_written(str(path))
    assert os.listdir(tmp_path) == ["net-[a]*2"]


def test_a_tree_a_file_and_a_missing_path_are_removed(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c").touch()
    (tmp_path / "file").touch()
    for name in ("a", "file", "none", "none/below"):
        files.remove_tree(str(tmp_path / name))
    assert os.listdir(tmp_path) == []


def test_a_link_is_removed_and_not_followed(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    files.remove_tree(str(tmp_path / "link"))
    assert os.listdir(tmp_path) == ["kept"]
