"""Where FIFOs are, and what the kernel says about their ends."""

from __future__ import annotations

import os
import select
import stat
from pathlib import Path

import pytest

from cri_shim.stdio.fifos import Fifos, open_input, open_output, writer_of


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_they_are_where_containerd_has_them_and_nobody_else_may_look(tmp_path: Path) -> None:
    fifos = Fifos.create(str(tmp_path), "c1", stdin=True, terminal=False)
    directory = Path(fifos.stdout).parent
    assert directory.parent == tmp_path / "io"
    assert directory.name.isdecimal()
    assert [os.path.basename(path) for path in fifos.paths] == ["c1-stdin", "c1-stdout", "c1-stderr"]
    assert [mode(path) for path in (directory, tmp_path / "io", *fifos.paths)] == [0o700] * 5


def test_without_stdin_there_is_none_and_each_set_has_a_directory_of_its_own(tmp_path: Path) -> None:
    one = Fifos.create(str(tmp_path), "c1", stdin=False, terminal=True)
    two = Fifos.create(str(tmp_path), "c1", stdin=False, terminal=True)
    assert (one.stdin, len(one.paths)) == ("", 2)
    assert os.path.dirname(one.stdout) != os.path.dirname(two.stdout)


def test_removing_takes_the_directory_along_and_can_be_done_twice(tmp_path: Path) -> None:
    fifos = Fifos.create(str(tmp_path), "c1", stdin=True, terminal=False)
    fifos.remove()
    fifos.remove()
    assert list((tmp_path / "io").iterdir()) == []


def test_removing_leaves_what_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    Fifos("", str(tmp_path / "file"), "binary:///bin/logger", terminal=False).remove()
    assert (tmp_path / "file").read_text() == "kept"


def test_a_failure_half_way_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File name too long"):
        Fifos.create(str(tmp_path), "x" * 250, stdin=True, terminal=False)
    assert list((tmp_path / "io").iterdir()) == []


def test_epoll_is_silent_about_a_fifo_until_a_writer_has_come(tmp_path: Path) -> None:
    fd = open_output(Fifos.create(str(tmp_path), "c1", stdin=False, terminal=False).stdout)
    path = os.readlink(f"/proc/self/fd/{fd}")
    with select.epoll() as epoll:
        epoll.register(fd, select.EPOLLIN)
        assert os.read(fd, 10) == b""  # a read alone can't tell a writer gone from one that never came
        assert epoll.poll(0) == []
        writer = os.open(path, os.O_WRONLY)
        assert epoll.poll(0) == []
        os.write(writer, b"last words")
        os.close(writer)
        assert epoll.poll(0) == [(fd, select.EPOLLIN | select.EPOLLHUP)]
        assert (os.read(fd, 10), os.read(fd, 10)) == (b"last words", b"")
    os.close(fd)


def test_an_input_can_be_opened_before_its_reader_and_a_mere_writer_after(tmp_path: Path) -> None:
    path = Fifos.create(str(tmp_path), "c1", stdin=True, terminal=False).stdin
    assert writer_of(path) is None
    first = open_input(path)
    second = writer_of(path)
    assert second is not None
    os.close(first)
    with pytest.raises(BrokenPipeError):
        os.write(second, b"x")
    os.close(second)
    assert writer_of(path + "-gone") is None
