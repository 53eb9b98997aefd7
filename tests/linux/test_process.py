"""Running short programs: what comes back, how long it may take, what is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import anyio
import pytest
import uvloop

from cri_shim import errors
from cri_shim.linux import process

pytestmark = pytest.mark.anyio
SH = "/bin/sh"


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request):
    options = {"loop_factory": uvloop.new_event_loop} if request.param == "uvloop" else {}
    return "asyncio", options


async def shell(script, *, stdin=b"", env=None, timeout=10.0, cwd=None, output_limit=process.OUTPUT_LIMIT):
    return await process.run(
        [SH, "-c", script], env=env or {}, stdin=stdin, timeout=timeout, cwd=cwd, output_limit=output_limit
    )


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def all_gone(pids):
    """Whether every process of the file `pids` ends; a killed one takes a moment to."""
    for _ in range(200):
        if not any(alive(pid) for pid in pids.read_text().split()):
            return True
        time.sleep(0.01)
    return False


def has_children():
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


async def test_input_goes_in_and_both_outputs_and_the_code_come_back():
    done = await shell("/bin/cat; echo oops >&2; exit 7", stdin=b"hello")
    assert done == process.Completed(7, b"hello", b"oops\n")


async def test_input_larger_than_a_pipe_is_not_waited_for_when_nobody_reads_it():
    done = await shell("exit 0", stdin=b"x" * (1 << 22))
    assert done.returncode == 0


async def test_large_output_on_both_sides_does_not_block():
    done = await shell("/bin/head -c 1000000 /dev/zero; /bin/head -c 1000000 /dev/zero >&2")
    assert (len(done.stdout), len(done.stderr)) == (1_000_000, 1_000_000)


async def test_output_beyond_the_limit_is_cut_and_said_to_be():
    done = await shell("/bin/head -c 300000 /dev/zero", output_limit=1000)
    assert (len(done.stdout), done.truncated, done.returncode) == (1000, True, 0)


async def test_the_environment_is_exactly_the_one_given():
    done = await process.run(["/usr/bin/env"], env={"CNI_COMMAND": "ADD"}, timeout=10)
    assert done.stdout == b"CNI_COMMAND=ADD\n"


async def test_the_working_directory_is_the_childs_alone(tmp_path):
    before = os.getcwd()
    done = await shell("pwd", cwd=str(tmp_path))
    assert done.stdout.decode().strip() == str(tmp_path)
    assert os.getcwd() == before


async def test_death_by_a_signal_is_a_negative_code():
    assert (await shell("kill -TERM $$")).returncode == -signal.SIGTERM


async def test_signals_that_python_ignores_are_not_ignored_by_the_child():
    assert (await shell("kill -PIPE $$; exit 3")).returncode == -signal.SIGPIPE


async def test_a_missing_program_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        await process.run([str(tmp_path / "none")], env={}, timeout=1)


async def test_a_zero_byte_is_refused_and_not_cut_at():
    with pytest.raises(OSError, match="a zero byte in"):
        await shell("true", env={"A": "b\0c"})


async def test_a_timeout_kills_the_whole_group_and_says_what_was_written(tmp_path):
    pids = tmp_path / "pids"
    with pytest.raises(errors.DeadlineExceeded, match=r"did not end within 0.3 s.*it last wrote: stuck"):
        await shell(f"echo stuck >&2; /bin/sleep 100 & echo $! $$ > {pids}; wait", timeout=0.3)
    assert all_gone(pids)


async def test_cancellation_kills_the_whole_group(tmp_path):
    pids = tmp_path / "pids"
    with anyio.move_on_after(0.3):
        await shell(f"/bin/sleep 100 & echo $! $$ > {pids}; wait")
    assert all_gone(pids)


async def test_the_tasks_own_cancellation_kills_the_group_too(tmp_path):
    pids = tmp_path / "pids"
    task = asyncio.create_task(shell(f"echo $$ > {pids}; exec /bin/sleep 100"))
    await anyio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all_gone(pids)


async def test_a_grandchild_that_keeps_the_output_open_does_not_hold_us_up():
    started = time.monotonic()
    done = await shell("echo out; /bin/sleep 3 & exit 0")
    assert done.stdout == b"out\n"
    assert time.monotonic() - started < 2.5


async def test_many_at_once_leave_neither_descriptors_nor_children():
    await shell("true")
    before = len(os.listdir("/proc/self/fd"))
    async with anyio.create_task_group() as group:
        for _ in range(40):
            group.start_soon(shell, "echo x")
    assert len(os.listdir("/proc/self/fd")) == before
    assert not has_children()
