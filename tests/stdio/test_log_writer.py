"""The log file: whole records or none, whatever the disk does."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from cri_shim.stdio import log_writer
from cri_shim.stdio.log_writer import LogWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """A disk that is full once a file has `size` bytes: the limit of file sizes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def records(*numbers: int) -> bytes:
    return b"".join(b"time stdout F line %d\n" % number for number in numbers)


def test_the_file_and_the_directories_above_are_made_with_containerds_modes(tmp_path: Path) -> None:
    path = tmp_path / "pod" / "container" / "0.log"
    before = os.umask(0o022)
    try:
        writer = LogWriter(str(path))
        writer.write(records(1))
        writer.close()
    finally:
        os.umask(before)
    assert path.read_bytes() == records(1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


def test_an_existing_file_is_appended_to(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(records(1))
    writer = LogWriter(str(tmp_path / "log"))
    writer.write(records(2))
    writer.close()
    assert (tmp_path / "log").read_bytes() == records(1, 2)


def test_after_reopen_records_go_to_the_new_file(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / "log"))
    writer.write(records(1))
    (tmp_path / "log").rename(tmp_path / "log.1")
    writer.write(records(2))
    writer.reopen()
    writer.write(records(3))
    writer.close()
    assert (tmp_path / "log.1").read_bytes() == records(1, 2)
    assert (tmp_path / "log").read_bytes() == records(3)


def test_reopening_makes_a_removed_directory_again(tmp_path: Path) -> None:
    path = tmp_path / "pod" / "log"
    writer = LogWriter(str(path))
    writer.write(records(1))
    path.unlink()
    path.parent.rmdir()
    writer.write(records(2))  # into the removed file: nobody can tell
    writer.reopen()
    writer.write(records(3))
    writer.close()
    assert path.read_bytes() == records(3)


def test_a_reopen_that_fails_goes_on_in_the_old_file(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / "log"))
    writer.write(records(1))
    (tmp_path / "log").rename(tmp_path / "log.1")
    (tmp_path / "log").mkdir()
    with pytest.raises(IsADirectoryError):
        writer.reopen()
    writer.write(records(2))
    writer.close()
    assert (tmp_path / "log.1").read_bytes() == records(1, 2)


def test_a_full_disk_holds_whole_records_and_the_rest_follows_in_order(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / "log"))
    with files_up_to(50):
        writer.write(records(1, 2, 3))
        assert not writer.flushed
        assert (tmp_path / "log").read_bytes() == records(1, 2)
        writer.write(records(4))
        assert not writer.retry()
    assert writer.retry()
    writer.write(records(5))
    writer.close()
    assert (tmp_path / "log").read_bytes() == records(1, 2, 3, 4, 5)
    assert writer.lost_lines == 0


def test_above_the_bound_the_newest_lines_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "BACKLOG_BYTES", 50)
    writer = LogWriter(str(tmp_path / "log"))
    with files_up_to(0):
        for number in range(1, 6):
            writer.write(records(number))
    assert writer.lost_lines == 3
    writer.close()
    assert (tmp_path / "log").read_bytes() == records(1, 2)


def test_closing_gives_up_what_the_disk_still_refuses(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / "log"))
    with files_up_to(0):
        writer.write(records(1, 2))
        writer.close()
    assert (writer.lost_lines, writer.flushed) == (2, True)


def test_a_log_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "pod").write_text("a file where a directory should be")
    writer = LogWriter(str(tmp_path / "pod" / "log"))
    writer.write(records(1))
    assert not writer.retry()
    (tmp_path / "pod").unlink()
    assert writer.retry()
    writer.close()
    assert (tmp_path / "pod" / "log").read_bytes() == records(1)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small tmpfs")
def test_a_disk_that_is_really_full_is_survived(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=False).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        (disk / "ballast").write_bytes(bytes(40 << 10))
        writer = LogWriter(str(disk / "log"))
        expected = b""
        for number in range(3000):
            writer.write(records(number))
            expected += records(number)
        assert not writer.flushed
        assert expected.startswith((disk / "log").read_bytes())
        (disk / "ballast").unlink()
        assert not writer.retry()  # 24 KiB more is not enough for all of it
        half = (disk / "log").read_bytes()
        assert expected.startswith(half)
        os.truncate(disk / "log", 0)  # what a rotation by copying does
        assert writer.retry()
        writer.close()
        assert half + (disk / "log").read_bytes() == expected
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
