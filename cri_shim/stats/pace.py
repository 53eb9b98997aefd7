"""When to look at what runs: shortly before somebody is expected to ask. Pure; times are seconds of any clock.

Who asks is the kubelet, each ten seconds, and whoever watches with `crictl stats`. A look each second for them would
cost ten times as much as their calls; one just before a call makes its answer as fresh.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from typing import Final

REST: Final = 10.0
"""The longest between two looks: what is asked for after a long silence has a rate over this at most."""

_SHARE: Final = 20  # a look may take one part in so many of a CPU
_LEAD: Final = 0.3  # how long before the call: it may come early
_REMEMBERED: Final = 5
_FORGOTTEN: Final = 6 * REST  # whoever has not asked for so long doesn't any more
_EARLY: Final = 0.75  # of the shortest pause: clocks are not exact


class Pace:
    """The pauses between looks, `period` at least, more where a look takes more than a twentieth of a CPU."""

    def __init__(self, period: float) -> None:
        self.period = period
        self._asked: deque[float] = deque(maxlen=_REMEMBERED)

    def asked(self, now: float) -> None:
        """Somebody asks; calls that come together count once."""
        if not self._asked or now - self._asked[-1] >= self.period / 2:
            self._asked.append(now)

    def pause(self, now: float, spent: float) -> float:
        """How long to wait after a look that took `spent` of CPU time."""
        least = max(self.period, spent * _SHARE)
        most = max(least, REST)
        every = self._every(now)
        if every is None:
            return most
        wait = every - (now - self._asked[-1]) % every - min(_LEAD, every / 2)
        if wait < least * _EARLY:
            wait += math.ceil((least * _EARLY - wait) / every) * every
        return min(wait, most)

    def _every(self, now: float) -> float | None:
        """The shortest of the last times between calls; None while nobody asks again and again."""
        recent = [at for at in self._asked if now - at < _FORGOTTEN]
        gaps = [after - before for before, after in itertools.pairwise(recent)]
        return max(min(gaps), self.period) if gaps else None

    def stale(self, age: float, spent: float) -> bool:
        """Whether a reading so old is not to be answered with any more."""
        return age > 2 * max(self.period, spent * _SHARE)
