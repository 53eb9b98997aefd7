"""The harness's side of a node's guardian (`integration.harness.enclosure`): starting it, and telling it to end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from integration.harness import cache, host
from integration.harness.enclosure import groups
from integration.harness.enclosure.plan import Plan, dumps, loads
from integration.harness.errors import HarnessError
from integration.harness.patience import patience

PROJECT: Final = Path(__file__).resolve().parents[2]
_MODULE: Final = "integration.harness.enclosure"
_PLAN: Final = "plan.json"
_END: Final = patience(20.0)  # seconds to see everything gone


@dataclass(frozen=True)
class Guardian:
    """A guardian whose node is up: `first` is the pid of the node's first process, `groups` the node's cgroups."""

    plan: Plan
    process: subprocess.Popen[bytes]
    first: int
    groups: tuple[str, ...]

    @classmethod
    def start(cls, plan: Plan) -> Self:
        """Make the node of `plan`; raises `HarnessError` when the machine doesn't let us."""
        Path(plan.scratch, _PLAN).write_text(dumps(plan))
        process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _bootstrap()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for the harness to hear
        )
        assert process.stdin
        process.stdin.write(dumps(plan).encode() + b"\n")
        process.stdin.flush()
        try:
            first, joined = _greeting(process)
        except BaseException:
            _end(process)
            raise
        return cls(plan, process, first, joined)

    def end(self) -> None:
        """End the node; returns when nothing of it is left, and raises `HarnessError` when something is."""
        if code := _end(self.process):
            raise HarnessError(f"{self.plan.name} left something behind: its guardian ended with {code}, see above")


def scratch_directory(name: str) -> Path:
    """A new directory for a node, on a disk with space; what nodes left whose guardian was killed is removed."""
    parent = cache.cache_directory() / "nodes"
    parent.mkdir(exist_ok=True)
    host.require_disk(parent)
    for other in parent.iterdir():
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            _sweep(other)
    directory = parent / name
    directory.mkdir(mode=0o700)
    return directory


def _sweep(directory: Path) -> None:
    """Remove a directory and its node's cgroups, unless a guardian holds it locked or may be about to."""
    if time.time() - directory.stat().st_mtime < _END:
        return
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (directory / _PLAN).exists():
            groups.remove(loads((directory / _PLAN).read_text()))
        shutil.rmtree(directory)
    finally:
        os.close(held)


def _bootstrap() -> str:
    """`python -m`, the project found without site-packages, environment or working directory."""
    path = f"import runpy, sys; sys.path.insert(0, {str(PROJECT)!r})"
    return f"{path}; runpy.run_module({_MODULE!r}, run_name='__main__')"


def _greeting(process: subprocess.Popen[bytes]) -> tuple[int, tuple[str, ...]]:
    """Read what the guardian says until the node is ready."""
    assert process.stdout
    said: dict[str, str] = {}
    for line in process.stdout:
        word, _, rest = line.decode().strip().partition(" ")
        if word == "error":
            raise HarnessError(f"the node can't be made: {rest}", remedy=_remedy(rest))
        said[word] = rest
        if said.keys() >= {"ready", "pid", "groups"}:
            return int(said["pid"]), tuple(json.loads(said["groups"]))
    raise HarnessError("the node's guardian ended before the node was ready: see its message above")


def _end(process: subprocess.Popen[bytes]) -> int:
    assert process.stdin
    assert process.stdout
    process.stdin.close()
    try:
        return process.wait(_END)
    except subprocess.TimeoutExpired:
        raise HarnessError(f"the node's guardian, process {process.pid}, does not end") from None
    finally:
        process.stdout.close()


def _remedy(reason: str) -> str:
    if "not permitted" in reason or "ermission denied" in reason:
        return "root is not enough here: in a container, start it with --privileged"
    if "Read-only file system" in reason:
        return "mount -o remount,rw /sys/fs/cgroup   (in a container: --privileged --cgroupns=private)"
    return ""
