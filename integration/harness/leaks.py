"""Whether a node is as it was: what is there now against a baseline, told apart by kind."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from integration.harness.patience import patience

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integration.harness.traces import Tracer, Traces

_PATIENCE: Final = patience(5.0)  # seconds that what goes away by itself may take: garbage collection, reaping
_POLL: Final = patience(0.05)


@dataclass(frozen=True)
class Baseline:
    """A node's traces at one moment, to be compared with later ones."""

    tracer: Tracer
    before: Traces

    @classmethod
    async def take(cls, tracer: Tracer) -> Baseline:
        """Look at the node now."""
        return cls(tracer, await tracer.traces())

    async def difference(self, within: float = _PATIENCE) -> str:
        """What has come and stayed, or has gone, since then, as text; empty when nothing has, or within the time."""
        deadline = time.monotonic() + within
        while True:
            text = difference(self.before, await self.tracer.traces())
            if not text or time.monotonic() > deadline:
                return text
            await anyio.sleep(_POLL)


def difference(before: Mapping[str, frozenset[str]], after: Mapping[str, frozenset[str]]) -> str:
    """`kind`, then its items, `+` for what has come and `-` for what has gone; empty when all is the same."""
    lines = []
    for kind in sorted(before.keys() | after.keys()):
        old, new = before.get(kind, frozenset()), after.get(kind, frozenset())
        if old != new:
            lines.append(f"{kind}:")
            lines += [f"  + {item}" for item in sorted(new - old)]
            lines += [f"  - {item}" for item in sorted(old - new)]
    return "\n".join(lines)
