"""Where every millisecond of a pod's start went: steps with a beginning, a length and a lane.

A verb makes a `Timeline` and records while it works; what it calls says `with step("CNI ADD", lane="network"):`, and
the step lands in the timeline that is being recorded, in whichever task it runs, or nowhere when none is. The cost of a
step is two clock reads.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import msgspec

from cri_shim.observe.metrics import STEP_SECONDS
from cri_shim.observe.tracing import span_since, step_span

if TYPE_CHECKING:
    from collections.abc import Iterator

_current: ContextVar[Timeline | None] = ContextVar("timeline", default=None)


class Step(msgspec.Struct, frozen=True):
    """One step: `start` and `length` are milliseconds, the start counted from the timeline's."""

    name: str
    lane: str
    start: float
    length: float
    failed: bool = False


class Timeline(msgspec.Struct):
    """The steps of one call, in the order in which they ended; `began` is nanoseconds since the epoch."""

    name: str
    began: int = msgspec.field(default_factory=time.time_ns)
    steps: list[Step] = msgspec.field(default_factory=list)
    origin: float = msgspec.field(default_factory=time.perf_counter)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record the steps taken in the block, and by the tasks started in it."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def add(self, name: str, lane: str, begin: float, *, failed: bool = False) -> None:
        """A step that began at `begin`, by `time.perf_counter`, and ends now."""
        end = time.perf_counter()
        start, length = (begin - self.origin) * 1e3, (end - begin) * 1e3
        self.steps.append(Step(name, lane, round(start, 3), round(length, 3), failed))
        STEP_SECONDS.labels(self.name, name).observe(end - begin)

    def to_json(self) -> str:
        """The timeline as a JSON document: `name`, `began`, `steps`."""
        return msgspec.json.encode({"name": self.name, "began": self.began, "steps": self.steps}).decode()

    @staticmethod
    def from_json(text: str) -> Timeline:
        """The timeline that `to_json` wrote. Raises msgspec.MsgspecError for anything else."""
        return msgspec.json.decode(text, type=Timeline)


@contextmanager
def step(name: str, lane: str = "main") -> Iterator[None]:
    """Record the block as a step of the timeline being recorded, and as a span of the call's trace."""
    with step_span(name):
        timeline = _current.get()
        if timeline is None:
            yield
            return
        begin = time.perf_counter()
        failed = True
        try:
            yield
            failed = False
        finally:
            timeline.add(name, lane, begin, failed=failed)


def step_ended(name: str, lane: str, begin: float) -> None:
    """Record a step that somebody else has taken since `begin`, by `time.perf_counter`, and that ends now."""
    span_since(name, begin)
    if (timeline := _current.get()) is not None:
        timeline.add(name, lane, begin)
