"""What waits for its reader comes as it was, and whoever puts waits for room."""

from __future__ import annotations

import anyio
import pytest

from cri_shim.streaming.inbox import BOUND_BYTES, Inbox

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("most", [1 << 16, 50_000, 1 << 20])
async def test_a_large_message_is_received_in_pieces_and_used_up_as_they_are_taken(most: int) -> None:
    used: list[int] = []
    inbox = Inbox(used.append)
    message = bytes(range(256)) * (4 << 10)
    received = b""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(inbox.put, message)
        while len(received) < len(message):
            piece = await inbox.receive(most)
            assert 0 < len(piece) <= most
            received += piece
            assert sum(used) == len(received)
    assert received == message


async def test_who_puts_waits_until_little_enough_is_left() -> None:
    inbox = Inbox()
    put = anyio.Event()

    async def fill() -> None:
        await inbox.put(bytes(3 * BOUND_BYTES))
        put.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fill)
        await inbox.receive()
        await anyio.wait_all_tasks_blocked()
        assert not put.is_set()
        await inbox.receive()
        await anyio.wait_all_tasks_blocked()
        assert put.is_set()


async def test_what_is_put_after_the_reader_has_closed_is_dropped_and_holds_up_nobody() -> None:
    used: list[int] = []
    inbox = Inbox(used.append)
    await inbox.put(b"kept")
    await inbox.aclose()
    await inbox.put(bytes(10 * BOUND_BYTES))
    assert sum(used) == 4 + 10 * BOUND_BYTES
    with pytest.raises(anyio.ClosedResourceError):
        await inbox.receive()
