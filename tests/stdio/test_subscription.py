"""Listeners beside the log: each gets what is said from then on, and none holds anybody up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import pytest

from cri_shim.stdio.container_io import ContainerIo
from cri_shim.stdio.fifos import Fifos
from tests.stdio.conftest import held, write_all

if TYPE_CHECKING:
    from pathlib import Path

    from cri_shim.stdio.pump import Pump
    from cri_shim.stdio.subscription import Subscription

pytestmark = pytest.mark.anyio


@pytest.fixture
def io(tmp_path: Path, pump: Pump) -> ContainerIo:
    return ContainerIo(Fifos.create(str(tmp_path), "c1", stdin=False, terminal=False), adopted=False, pump=pump)


async def heard(subscription: Subscription) -> dict[str, bytes]:
    said = {"stdout": b"", "stderr": b""}
    with anyio.fail_after(10):
        async for stream, data in subscription:
            said[stream] += data
    return said


async def test_each_listener_hears_the_streams_it_asked_for_until_the_end(io: ContainerIo) -> None:
    io.start(None)
    both, one = io.subscribe("stdout", "stderr"), io.subscribe("stderr")
    with held(io.stdout) as out, held(io.stderr) as err:
        write_all(out, b"out")
        write_all(err, b"err")
    assert await heard(both) == {"stdout": b"out", "stderr": b"err"}
    assert await heard(one) == {"stdout": b"", "stderr": b"err"}
    assert await heard(io.subscribe("stdout")) == {"stdout": b"", "stderr": b""}
    await io.close()


async def test_one_that_left_hears_no_more(io: ContainerIo) -> None:
    io.start(None)
    stays, leaves = io.subscribe("stdout"), io.subscribe("stdout")
    io.unsubscribe(leaves)
    with held(io.stderr), held(io.stdout) as out:
        write_all(out, b"out")
    assert (await heard(stays))["stdout"] == b"out"
    assert (await heard(leaves))["stdout"] == b""
    await io.close()


async def test_one_that_does_not_listen_misses_what_is_above_its_bound_and_holds_nobody_up(io: ContainerIo) -> None:
    io.start(None)
    sleeps = io.subscribe("stdout")
    size = 8 << 20
    with held(io.stderr), held(io.stdout) as out:
        await asyncio.to_thread(write_all, out, bytes(size))
    await io.drained()
    said = (await heard(sleeps))["stdout"]
    assert len(said) <= sleeps.bound
    assert len(said) + sleeps.missed_bytes == size
    await io.close()


async def test_closing_the_streams_ends_the_listening(io: ContainerIo) -> None:
    io.start(None)
    subscription = io.subscribe("stdout")
    await io.close()
    assert await heard(subscription) == {"stdout": b"", "stderr": b""}
