"""Events for everybody who listens. Publishing waits for nobody: each subscriber has a bounded queue of its own.

A subscriber that doesn't keep up gets what is in its queue and then the news that it has missed something, so that it
lists anew instead of believing in an old picture. What happens while nobody listens is kept for a while for the first
who does: a kubelet that restarts misses nothing.

Source: containerd `internal/eventq` and `internal/cri/server/container_events.go` (which waits for slow subscribers).
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import create_memory_object_stream

from cri_shim.errors import ResourceExhausted
from cri_shim.observe.containerd_names import EVENTS_DROPPED
from cri_shim.observe.dependencies import EVENT_SUBSCRIBERS, watch_queue

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.streams.memory import MemoryObjectSendStream

log = structlog.get_logger(__name__)

MOST_QUEUED = 1000  # events that a subscriber may be behind
MOST_KEPT = 500  # events for the first subscriber
KEPT_SECONDS = 300.0


class Broadcast:
    """Encoded events, in the order in which they were published, to each subscriber; none before `begin`."""

    def __init__(self) -> None:
        self._begun = False
        self._subscribers: set[MemoryObjectSendStream[bytes]] = set()
        self._kept: deque[tuple[float, bytes]] = deque()
        EVENT_SUBSCRIBERS.set_function(lambda: len(self._subscribers))
        watch_queue("container events", self._deepest)

    def _deepest(self) -> int:
        """How far the slowest subscriber is behind; called in any thread."""
        return max((queue.statistics().current_buffer_used for queue in list(self._subscribers)), default=0)

    def begin(self) -> None:
        """From here on events are told.

        What happens during recovery is not: an event carries its whole pod, of which half may not be known yet, and
        whoever meets a new server has to list anyway.
        """
        self._begun = True

    def publish(self, event: bytes) -> None:
        """Put an event into every queue; a subscriber whose queue is full is dropped."""
        if not self._begun:
            return
        if not self._subscribers:
            self._keep(event)
        for queue in list(self._subscribers):
            try:
                queue.send_nowait(event)
            except anyio.WouldBlock:
                self._subscribers.discard(queue)
                queue.close()
                log.warning("a subscriber to container events is too slow, and let go", behind=MOST_QUEUED)

    async def listen(self) -> AsyncGenerator[bytes, None]:
        """The events that were kept, and those from now on. Raises ResourceExhausted, in the end, if one was missed."""
        send, receive = create_memory_object_stream[bytes](MOST_QUEUED)
        self._let_go(time.monotonic())
        for _, event in self._kept:
            send.send_nowait(event)
        self._kept.clear()
        self._subscribers.add(send)
        try:
            with send, receive:
                async for event in receive:
                    yield event
        finally:
            self._subscribers.discard(send)
        raise ResourceExhausted(
            f"more than {MOST_QUEUED} container events behind, some are lost: subscribe again, then list everything"
        )

    def _keep(self, event: bytes) -> None:
        now = time.monotonic()
        self._kept.append((now, event))
        self._let_go(now)

    def _let_go(self, now: float) -> None:
        while self._kept and (len(self._kept) > MOST_KEPT or now - self._kept[0][0] > KEPT_SECONDS):
            self._kept.popleft()
            EVENTS_DROPPED.inc()
