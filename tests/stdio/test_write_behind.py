"""What logs have written reaches the disk as it grows."""

from __future__ import annotations

import errno
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from cri_shim.stdio.log_writer import LogWriter
from cri_shim.stdio.write_behind import PIECE_BYTES, WriteBehind

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = b"x" * 1023 + b"\n"
SECONDS = 10.0


@dataclass
class Disk:
    """Takes what it is sent while it is `ready`, and knows of which file it was."""

    ready: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    taken: list[tuple[int, int, int]] = field(default_factory=list)  # inode, start, length
    error: OSError | None = None

    def take(self, fd: int, start: int, length: int) -> None:
        self.asked.set()
        assert self.ready.wait(SECONDS)
        self.taken.append((os.fstat(fd).st_ino, start, length))
        if self.error:
            raise self.error


def write(writer: LogWriter, length: int) -> None:
    for _ in range(length // len(RECORDS)):
        writer.write(RECORDS)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_log_is_sent_piece_by_piece_and_each_byte_once(tmp_path: Path) -> None:
    disk = Disk()
    disk.ready.set()
    behind = WriteBehind(disk.take)
    path = tmp_path / "log"
    path.write_bytes(b"what was there before\n")
    writer = LogWriter(str(path), behind)
    write(writer, 3 * PIECE_BYTES + 5000)
    behind.settled()
    inode, before = path.stat().st_ino, len(b"what was there before\n")
    assert disk.taken == [(inode, before + at * PIECE_BYTES, PIECE_BYTES) for at in range(3)]
    writer.close()


def test_a_log_that_says_little_is_left_to_the_kernel(tmp_path: Path) -> None:
    disk = Disk()
    writer = LogWriter(str(tmp_path / "log"), WriteBehind(disk.take))
    write(writer, PIECE_BYTES - len(RECORDS))
    writer.close()
    assert not disk.asked.is_set()


def test_a_writer_does_not_wait_for_the_disk_until_the_bound_is_reached(tmp_path: Path) -> None:
    disk = Disk()
    behind = WriteBehind(disk.take, bound=2 * PIECE_BYTES)
    writer = LogWriter(str(tmp_path / "log"), behind)
    write(writer, 2 * PIECE_BYTES)
    assert disk.asked.wait(SECONDS)
    assert disk.taken == []
    third = threading.Thread(target=write, args=(writer, PIECE_BYTES))
    third.start()
    third.join(0.2)
    assert third.is_alive()
    disk.ready.set()
    third.join(SECONDS)
    assert not third.is_alive()
    behind.settled()
    assert len(disk.taken) == 3
    writer.close()


def test_the_disk_is_left_to_others_for_as_long_as_a_piece_took(tmp_path: Path) -> None:
    taken = 0.03
    rests: list[float] = []
    behind = WriteBehind(lambda *_: time.sleep(taken), rest=rests.append)
    writer = LogWriter(str(tmp_path / "log"), behind)
    write(writer, 3 * PIECE_BYTES)
    behind.settled()
    writer.close()
    assert len(rests) >= 2  # that after the last may be on its way
    assert all(rest >= taken for rest in rests)


def test_a_log_that_was_rotated_away_is_still_sent_and_its_descriptor_closed(tmp_path: Path) -> None:
    before = descriptors()
    disk = Disk()
    behind = WriteBehind(disk.take)
    path = tmp_path / "log"
    writer = LogWriter(str(path), behind)
    write(writer, PIECE_BYTES)
    os.rename(path, rotated := tmp_path / "log.1")
    writer.reopen()
    write(writer, PIECE_BYTES)
    writer.close()
    disk.ready.set()
    behind.settled()
    assert disk.taken == [(rotated.stat().st_ino, 0, PIECE_BYTES), (path.stat().st_ino, 0, PIECE_BYTES)]
    assert descriptors() == before


@pytest.mark.parametrize("number", [errno.EIO, errno.ESPIPE])
def test_a_disk_that_refuses_ends_neither_the_thread_nor_the_log(tmp_path: Path, number: int) -> None:
    disk = Disk(error=OSError(number, os.strerror(number)))
    disk.ready.set()
    behind = WriteBehind(disk.take)
    writer = LogWriter(str(tmp_path / "log"), behind)
    write(writer, 2 * PIECE_BYTES)
    behind.settled()
    assert len(disk.taken) == 2
    writer.close()


def test_the_kernel_takes_what_it_is_sent(tmp_path: Path) -> None:
    behind = WriteBehind()
    writer = LogWriter(str(tmp_path / "log"), behind)
    write(writer, 2 * PIECE_BYTES)
    behind.settled()
    writer.close()
    assert (tmp_path / "log").stat().st_size == 2 * PIECE_BYTES
