"""The thread that moves bytes: what is submitted is done in order, and one source's failure is its own."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cri_shim.stdio.pump import Pump

pytestmark = pytest.mark.anyio


class Lines:
    """A source that keeps what it reads."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.read = b""
        self.ended = threading.Event()

    def advance(self) -> int:
        data = os.read(self.fd, 1000)
        if data == b"fail":
            raise ValueError("as asked")
        self.read += data
        return len(data)

    def finish(self) -> None:
        self.ended.set()


async def test_commands_are_carried_out_in_order_and_give_what_they_return_or_raise(pump: Pump) -> None:
    done: list[int] = []
    futures = [pump.submit(lambda n=n: done.append(n)) for n in range(100)]  # type: ignore[misc]
    assert await pump.call(lambda: len(done)) == 100
    assert done == list(range(100))
    assert all(future.done() for future in futures)
    with pytest.raises(ZeroDivisionError):
        await pump.call(lambda: 1 // 0)


async def test_a_source_that_fails_is_dropped_and_the_others_go_on(pump: Pump) -> None:
    good_in, good_out = os.pipe()
    bad_in, bad_out = os.pipe()
    good, bad = Lines(good_in), Lines(bad_in)
    await pump.call(lambda: [pump.watch(source) for source in (good, bad)])
    os.write(bad_out, b"fail")
    os.write(good_out, b"fine")
    os.close(good_out)
    assert good.ended.wait(5)
    assert (good.read, bad.read) == (b"fine", b"")
    for fd in (good_in, bad_in, bad_out):
        os.close(fd)


async def test_what_is_no_longer_watched_is_not_read(pump: Pump) -> None:
    read, write = os.pipe()
    source = Lines(read)
    await pump.call(lambda: pump.watch(source))
    await pump.call(lambda: pump.unwatch(source))
    os.write(write, b"unheard")
    await pump.call(lambda: pump.unwatch(source))
    assert source.read == b""
    os.close(read)
    os.close(write)
