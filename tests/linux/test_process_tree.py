"""A process is ended together with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cri_shim.linux.process_tree import kill_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG = f"600.{os.getpid()}"  # seconds, and the mark of ours
SCRIPT = f"sleep {LONG} & (sleep {LONG} & exec true); setsid sleep {LONG} & echo ready; wait"


@pytest.fixture
def leader() -> Iterator[subprocess.Popen[bytes]]:
    """A shell in a session of its own with a child, an orphan, and a child in yet another session."""
    process = subprocess.Popen(["sh", "-c", SCRIPT], start_new_session=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().endswith(b"ready\n")
    wait_until(lambda: len(sleepers()) == 3)
    yield process
    for pid in [process.pid, *sleepers()]:
        if process.poll() is None or pid != process.pid:
            os.kill(pid, signal.SIGKILL)
    process.communicate()


def sleepers() -> list[int]:
    """Those of the fixture that live."""
    found = []
    for pid in everybody():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words[:2] == [b"sleep", LONG.encode()]:
            found.append(pid)
    return found


def everybody() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_children_orphans_and_those_in_sessions_of_their_own_end_with_it(leader: subprocess.Popen[bytes]) -> None:
    assert kill_tree(leader.pid, everybody(), cgroup="") == 4
    assert leader.wait(10) == -signal.SIGKILL
    wait_until(lambda: not sleepers())
    assert kill_tree(leader.pid, everybody(), cgroup="") == 0


def test_an_orphan_is_found_when_the_process_has_ended(leader: subprocess.Popen[bytes]) -> None:
    leader.kill()
    leader.wait(10)
    assert kill_tree(leader.pid, everybody(), cgroup="") == 2
    wait_until(lambda: len(sleepers()) == 1)  # whose session is another, and whose parent is gone


def test_whoever_is_in_another_cgroup_or_was_not_named_is_left_alone(leader: subprocess.Popen[bytes]) -> None:
    assert kill_tree(leader.pid, everybody(), cgroup="/no/such/group") == 0
    assert kill_tree(leader.pid, [os.getpid()], cgroup="") == 0
    assert leader.poll() is None
    assert len(sleepers()) == 3
