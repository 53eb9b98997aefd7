from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from cri_shim.linux.copy_tree import copy_tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    return source, target


def seen(path: Path) -> tuple[int, int, int, int]:
    status = path.lstat()
    return status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns


def test_modes_and_times_of_files_and_directories_stay(places: tuple[Path, Path]) -> None:
    source, target = places
    (source / "below").mkdir()
    (source / "below/file").write_text("content")
    (source / "below/file").chmod(0o4751)
    (source / "below").chmod(0o1710)
    source.chmod(0o2705)
    for path in (source / "below/file", source / "below", source):
        os.utime(path, ns=(1, 2_000_000_003))
    copy_tree(str(source), str(target))
    assert (target / "below/file").read_text() == "content"
    for name in ("", "below", "below/file"):
        assert seen(target / name) == seen(source / name), name


def test_links_stay_links(places: tuple[Path, Path]) -> None:
    source, target = places
    (source / "file").write_text("x")
    (source / "soft").symlink_to("/no/such")
    (source / "directory").symlink_to("/")
    os.link(source / "file", source / "hard")
    copy_tree(str(source), str(target))
    assert (target / "soft").readlink() == (source / "soft").readlink()
    assert (target / "directory").is_symlink()
    assert (target / "hard").samefile(target / "file")
    assert not (target / "hard").samefile(source / "file")


def test_a_fifo_is_made_anew_and_not_read(places: tuple[Path, Path]) -> None:
    source, target = places
    os.mkfifo(source / "fifo", 0o640)
    copy_tree(str(source), str(target))
    assert stat.S_ISFIFO((target / "fifo").lstat().st_mode)
    assert seen(target / "fifo") == seen(source / "fifo")


def test_extended_attributes_stay_where_there_are_any(places: tuple[Path, Path]) -> None:
    source, target = places
    (source / "file").write_text("x")
    try:
        os.setxattr(source / "file", "user.mine", b"1")
    except OSError:
        pytest.skip("this file system has none")
    copy_tree(str(source), str(target))
    assert os.getxattr(target / "file", "user.mine") == b"1"
