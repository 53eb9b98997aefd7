"""Standard input: held open until it is to end."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import anyio
import pytest

from cri_shim.stdio.container_io import ContainerIo
from cri_shim.stdio.fifos import Fifos
from cri_shim.stdio.stdin import StdinPipe
from tests.stdio.conftest import run

if TYPE_CHECKING:
    from pathlib import Path

    from cri_shim.stdio.pump import Pump

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> str:
    return Fifos.create(str(tmp_path), "c1", stdin=True, terminal=False).stdin


async def test_a_container_that_nobody_is_attached_to_does_not_see_the_end(path: str) -> None:
    pipe = StdinPipe.open(path, adopted=False)
    assert pipe
    with run("cat", path) as cat:
        with pytest.raises(subprocess.TimeoutExpired):
            cat.wait(0.2)
        await pipe.write(b"hello")
        pipe.close()
        pipe.close()
        assert cat.communicate()[0] == b"hello"


async def test_more_than_the_pipe_holds_waits_for_the_reader(path: str) -> None:
    pipe = StdinPipe.open(path, adopted=False)
    assert pipe
    data = bytes(range(256)) * 4096
    with run("cat", path) as cat:
        assert cat.stdout

        async def send() -> None:
            await pipe.write(data)
            pipe.close()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            received = await anyio.to_thread.run_sync(cat.stdout.read)
    assert received == data


async def test_a_process_that_closed_its_input_is_noticed(path: str) -> None:
    pipe = StdinPipe.open(path, adopted=False)
    assert pipe
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    await pipe.write(b"x")
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        await pipe.write(b"y")
    pipe.close()
    with pytest.raises(BrokenPipeError, match="is closed"):
        await pipe.write(b"z")


async def test_closing_ends_a_write_that_waits(path: str) -> None:
    pipe = StdinPipe.open(path, adopted=False)
    assert pipe
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    async def send() -> None:
        with pytest.raises(BrokenPipeError):
            await pipe.write(bytes(1 << 20))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await anyio.sleep(0.05)
            pipe.close()
    os.close(reader)


async def test_an_adopted_input_is_open_if_the_shim_still_reads_it(path: str, pump: Pump) -> None:
    assert StdinPipe.open(path, adopted=True) is None
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    io = ContainerIo(Fifos(path, "", "", terminal=True), adopted=True, pump=pump)
    io.start(None)
    assert io.input
    await io.input.write(b"again")
    assert os.read(reader, 100) == b"again"
    await io.close()
    assert io.input is None
    os.close(reader)
