"""Events for everybody who listens."""

from __future__ import annotations

from contextlib import aclosing

import anyio
import anyio.lowlevel
import pytest

from cri_shim.errors import ResourceExhausted
from cri_shim.events import broadcast
from cri_shim.events.broadcast import KEPT_SECONDS, MOST_KEPT, MOST_QUEUED, Broadcast

pytestmark = pytest.mark.anyio


def numbered(*numbers: int) -> list[bytes]:
    return [b"%d" % number for number in numbers]


def begun():
    events = Broadcast()
    events.begin()
    return events


async def take(events, count):
    return [await anext(events) for _ in range(count)]


async def test_every_subscriber_gets_every_event_in_order():
    events = begun()
    async with aclosing(events.listen()) as one, aclosing(events.listen()) as other:
        async with anyio.create_task_group() as tasks:
            taken = {}

            async def collect(name, source):
                taken[name] = await take(source, 3)

            tasks.start_soon(collect, "one", one)
            tasks.start_soon(collect, "other", other)
            await anyio.wait_all_tasks_blocked()
            for event in numbered(1, 2, 3):
                events.publish(event)
        assert taken == {"one": numbered(1, 2, 3), "other": numbered(1, 2, 3)}


async def test_five_hundred_lives_reach_every_subscriber_whole_and_in_order():
    events, lives, kinds = begun(), 500, 4
    seen: list[list[bytes]] = [[], [], []]

    async def collect(mine):
        async with aclosing(events.listen()) as source:
            mine += await take(source, lives * kinds)

    async def live(number):
        for kind in range(kinds):
            events.publish(b"%d.%d" % (number, kind))
            await anyio.lowlevel.checkpoint()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as listeners:
            for mine in seen:
                listeners.start_soon(collect, mine)
            await anyio.wait_all_tasks_blocked()
            for first in range(0, lives, 50):  # at once: fewer events than a queue holds
                async with anyio.create_task_group() as tasks:
                    for number in range(first, first + 50):
                        tasks.start_soon(live, number)
                await anyio.wait_all_tasks_blocked()  # all is read
    assert seen[0] == seen[1] == seen[2]
    for number in range(lives):
        mine = [event for event in seen[0] if event.startswith(b"%d." % number)]
        assert mine == [b"%d.%d" % (number, kind) for kind in range(kinds)]


async def test_what_happened_while_nobody_listened_goes_to_the_first_who_does():
    events = begun()
    events.publish(b"1")
    async with aclosing(events.listen()) as one:
        assert await anext(one) == b"1"
        async with aclosing(events.listen()) as other:
            with anyio.move_on_after(0.01) as scope:
                await anext(other)
            assert scope.cancelled_caught
    events.publish(b"2")
    async with aclosing(events.listen()) as later:
        assert await anext(later) == b"2"


async def test_what_happens_before_the_beginning_is_not_told():
    events = Broadcast()
    events.publish(b"0")
    events.begin()
    events.publish(b"1")
    async with aclosing(events.listen()) as one:
        assert await anext(one) == b"1"


async def test_what_is_kept_is_bounded_in_number_and_time(monkeypatch):
    events, now = begun(), [1000.0]
    monkeypatch.setattr(broadcast.time, "monotonic", lambda: now[0])
    events.publish(b"old")
    now[0] += KEPT_SECONDS + 1
    for event in numbered(*range(MOST_KEPT + 2)):
        events.publish(event)
    async with aclosing(events.listen()) as one:
        assert await take(one, MOST_KEPT) == numbered(*range(2, MOST_KEPT + 2))


async def test_a_slow_subscriber_gets_what_it_was_sent_and_is_told_and_no_other_suffers():
    events = begun()
    async with aclosing(events.listen()) as slow, aclosing(events.listen()) as quick:
        events.publish(b"0")  # kept for the one that listens first
        assert await anext(slow) == b"0"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take, quick, 1)
            await anyio.wait_all_tasks_blocked()
            events.publish(b"1")
        assert await anext(slow) == b"1"
        for number in range(2, MOST_QUEUED + 3):
            events.publish(b"%d" % number)
            assert await anext(quick) == b"%d" % number
        assert await take(slow, MOST_QUEUED) == numbered(*range(2, MOST_QUEUED + 2))
        with pytest.raises(ResourceExhausted, match="subscribe again"):
            await anext(slow)
        events.publish(b"still")
        assert await anext(quick) == b"still"
