"""The streams of an exec: read to their end, kept up to a limit, copied to a client as quickly as that takes them."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from cri_shim.stdio.exec_io import ExecIo
from tests.stdio.conftest import names, shell

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(tmp_path: Path, *, stdin: bool = False, terminal: bool = False) -> AsyncIterator[ExecIo]:
    io = ExecIo.create(str(tmp_path), "e1", stdin=stdin, terminal=terminal)
    io.open()
    yield io
    await io.close()
    assert names(tmp_path / "io") == []


@contextmanager
def run(io: ExecIo, script: str) -> Iterator[subprocess.Popen[bytes]]:
    redirected = f"exec >{io.stdout}; {script}" if io.terminal else f"exec >{io.stdout} 2>{io.stderr}; {script}"
    with shell(redirected) as process:
        yield process
        process.kill()


class Client:
    """What a client has been sent; it is gone after so many bytes, and takes nothing while `stalled`."""

    def __init__(self, gone_after: int | None = None) -> None:
        self.said = b""
        self.flowing = anyio.Event()
        self.flowing.set()
        self._gone_after = gone_after

    async def send(self, item: bytes) -> None:
        await self.flowing.wait()
        if self._gone_after is not None and len(self.said) >= self._gone_after:
            raise anyio.BrokenResourceError
        self.said += item

    async def aclose(self) -> None:
        pass


async def test_both_streams_are_collected_to_their_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as io:
        with run(io, "echo out; sleep 0.05; echo err >&2; printf end"), anyio.fail_after(10):
            assert await io.collect(1 << 20) == [b"out\nend", b"err\n"]
    await io.close()


async def test_a_terminal_has_one_output(tmp_path: Path) -> None:
    async with opened(tmp_path, terminal=True) as io:
        with run(io, "echo out"), anyio.fail_after(10):
            assert (io.stderr, await io.collect(1 << 20)) == ("", [b"out\n"])


async def test_above_the_limit_output_is_read_away_and_counted(tmp_path: Path) -> None:
    async with opened(tmp_path) as io:
        with run(io, "head -c 30000000 /dev/zero; printf ok >&2"), anyio.fail_after(20):
            stdout, stderr = await io.collect(100_000)
        assert (len(stdout), stderr) == (100_000, b"ok")
        assert io.dropped == (29_900_000, 0)


async def test_exactly_the_limit_is_kept_whole(tmp_path: Path) -> None:
    async with opened(tmp_path) as io:
        with run(io, "printf 12345"), anyio.fail_after(10):
            assert await io.collect(5) == [b"12345", b""]
        assert io.dropped == (0, 0)


async def test_a_child_that_keeps_the_output_open_can_be_given_up(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    async with opened(tmp_path) as io:
        with run(io, "echo said; exec sleep 60"):
            with anyio.move_on_after(0.2) as scope:
                await io.collect(100)
            assert scope.cancelled_caught
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 1  # the way to nowhere is kept for the process's life


async def test_each_output_is_copied_to_its_client_and_the_unwanted_one_read_away(tmp_path: Path) -> None:
    client = Client()
    async with opened(tmp_path) as io:
        with run(io, "head -c 3000000 /dev/zero >&2; seq 100000"), anyio.fail_after(20):
            await io.copy(client, None)
        assert client.said == "".join(f"{n}\n" for n in range(1, 100_001)).encode()
        assert io.dropped == (0, 3_000_000)


async def test_a_client_that_goes_away_does_not_stop_the_command(tmp_path: Path) -> None:
    async with opened(tmp_path) as io:
        with run(io, "head -c 5000000 /dev/zero") as process, anyio.fail_after(20):
            await io.copy(Client(gone_after=1), Client())
            assert await anyio.to_thread.run_sync(process.wait) == 0


async def test_a_client_that_does_not_take_its_output_is_what_is_waited_for(tmp_path: Path) -> None:
    client = Client()
    client.flowing = anyio.Event()
    async with opened(tmp_path) as io:
        with run(io, "echo hello"), anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(io.copy, client, None)
                while not io.waits_for_client:  # noqa: ASYNC110  (nothing tells us)
                    await anyio.sleep(0.01)
                client.flowing.set()
        assert (client.said, io.waits_for_client) == (b"hello\n", False)


async def test_many_execs_at_once_are_kept_apart(tmp_path: Path) -> None:
    async def one(number: int) -> None:
        async with opened(tmp_path / str(number)) as io:
            with run(io, f"seq {number} {number + 20000}"):
                stdout, _ = await io.collect(1 << 20)
        assert stdout == "".join(f"{n}\n" for n in range(number, number + 20001)).encode()

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(one, number)
