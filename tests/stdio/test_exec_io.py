"""The output of an exec: kept up to a limit, read to its end."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import anyio
import pytest

from cri_shim.stdio.exec_io import ExecIo
from tests.stdio.conftest import names, shell

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

pytestmark = pytest.mark.anyio


def run(io: ExecIo, script: str) -> subprocess.Popen[bytes]:
    return shell(f"exec >{io.stdout} 2>{io.stderr}; {script}")


async def test_both_streams_are_collected_to_their_end(tmp_path: Path) -> None:
    io = ExecIo.create(str(tmp_path), "e1", 1 << 20)
    io.start()
    process = run(io, "echo out; sleep 0.05; echo err >&2; printf end")
    with anyio.fail_after(10):
        assert await io.collect() == (b"out\nend", b"err\n")
    await io.close()
    await io.close()
    assert process.wait() == 0
    assert names(tmp_path / "io") == []


async def test_above_the_limit_output_is_read_away_and_counted(tmp_path: Path) -> None:
    io = ExecIo.create(str(tmp_path), "e1", 100_000)
    io.start()
    process = run(io, "head -c 30000000 /dev/zero; printf ok >&2")
    with anyio.fail_after(20):
        stdout, stderr = await io.collect()
    assert (len(stdout), stderr) == (100_000, b"ok")
    assert io.dropped == (29_900_000, 0)
    await io.close()
    assert process.wait() == 0


async def test_exactly_the_limit_is_kept_whole(tmp_path: Path) -> None:
    io = ExecIo.create(str(tmp_path), "e1", 5)
    io.start()
    process = run(io, "printf 12345")
    assert await io.collect() == (b"12345", b"")
    assert io.dropped == (0, 0)
    await io.close()
    process.wait()


async def test_a_child_that_keeps_the_output_open_can_be_given_up(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    io = ExecIo.create(str(tmp_path), "e1", 100)
    io.start()
    process = run(io, "echo said; exec sleep 60")
    with anyio.move_on_after(0.2) as scope:
        await io.collect()
    assert scope.cancelled_caught
    await io.close()
    process.kill()
    process.wait()
    await asyncio.sleep(0)
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 1  # the way to nowhere is kept for the process's life


async def test_many_execs_at_once_are_kept_apart(tmp_path: Path) -> None:
    async def one(number: int) -> None:
        io = ExecIo.create(str(tmp_path), f"e{number}", 1 << 20)
        io.start()
        process = run(io, f"seq {number} {number + 20000}")
        stdout, _ = await io.collect()
        assert stdout == "".join(f"{n}\n" for n in range(number, number + 20001)).encode()
        await io.close()
        process.wait()

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(one, number)
