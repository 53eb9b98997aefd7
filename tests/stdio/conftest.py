"""A pump of the test's own, and writers that stand in for a shim."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cri_shim.stdio.pump import Pump

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = re.compile(rb"(\S+) (stdout|stderr) ([PF]) (.*)")


@pytest.fixture
def pump() -> Iterator[Pump]:
    pump = Pump()
    yield pump
    pump.stop()


@contextmanager
def held(path: str) -> Iterator[int]:
    """Both ends of a FIFO, as a shim holds them; the write end is what the body gets."""
    writer = os.open(path, os.O_RDWR)
    try:
        yield writer
    finally:
        os.close(writer)


def write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def run(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def shell(script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sh", "-c", script])


def read(path: str | Path) -> bytes:
    """What is in the file; nothing if there is none yet."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return b""


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def contents(log: bytes, stream: bytes = b"stdout") -> bytes:
    """What the records of a stream say: F's with their newline, P's without; every line must be a record."""
    said: list[bytes] = []
    for line in log.splitlines():
        match = RECORD.fullmatch(line)
        assert match, f"not a record: {line[:200]!r}"
        if match[2] == stream:
            said.append(match[4] + (b"\n" if match[3] == b"F" else b""))
    return b"".join(said)
