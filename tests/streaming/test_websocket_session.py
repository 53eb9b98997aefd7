"""WebSocket messages, in whatever frames they come."""

from __future__ import annotations

import tracemalloc

import anyio
import pytest
from anyio.abc import ByteStream
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from cri_shim.streaming.websocket_session import WebSocket

pytestmark = pytest.mark.anyio


class Fed(ByteStream):
    """A client that sends these pieces and then is gone; what it is sent is kept in `heard`."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)
        self.heard = b""

    async def receive(self, max_bytes: int = 65536) -> bytes:
        del max_bytes
        await anyio.lowlevel.checkpoint()
        if not self._pieces:
            raise anyio.EndOfStream
        return self._pieces.pop(0)

    async def send(self, item: bytes) -> None:
        self.heard += item

    async def send_eof(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError


def frame(opcode: Opcode, data: bytes, *, fin: bool) -> bytes:
    return Frame(opcode, data, fin=fin).serialize(mask=True, extensions=[])


async def messages(*pieces: bytes) -> list[bytes]:
    """What a session makes of the pieces."""
    found: list[bytes] = []

    async def received(message: bytes) -> None:
        found.append(message)

    await WebSocket(Fed(*pieces), received, text=False).run(b"")
    return found


@given(
    parts=st.lists(st.lists(st.binary(max_size=200), min_size=1, max_size=5), max_size=5),
    stride=st.integers(1, 100),
    pings=st.booleans(),
)
def test_messages_come_whole_however_they_were_cut(parts: list[list[bytes]], stride: int, *, pings: bool) -> None:
    sent = b""
    for pieces in parts:
        for at, piece in enumerate(pieces):
            sent += frame(Opcode.CONT if at else Opcode.BINARY, piece, fin=at == len(pieces) - 1)
            sent += frame(Opcode.PING, b"between", fin=True) if pings else b""
    found = anyio.run(messages, *(sent[at : at + stride] for at in range(0, len(sent), stride)))
    assert found == [whole for pieces in parts if (whole := b"".join(pieces))]


@pytest.mark.parametrize("piece", [b"", b"xy"])
async def test_a_message_takes_no_more_memory_than_its_bytes_however_many_frames_it_has(piece: bytes) -> None:
    count, at_once = 40_000, 100
    begun = frame(Opcode.BINARY, b"\0", fin=False)
    many = frame(Opcode.CONT, piece, fin=False) * at_once
    tracemalloc.start()
    try:
        assert await messages(begun, *[many] * (count // at_once)) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * count * len(piece) + (200 << 10)  # what it is grown by, and the frames of one read
