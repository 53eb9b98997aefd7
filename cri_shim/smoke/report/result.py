"""The result of a run as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.smoke.check import State

if TYPE_CHECKING:
    from cri_shim.smoke.check import Outcome


@dataclass(frozen=True)
class Result:
    """The outcomes, in the order of the list of checks, and what they are of."""

    endpoint: str
    runtime: str
    version: str
    run: str
    image: str
    seconds: float
    outcomes: tuple[Outcome, ...]
    not_run: int = 0  # because of an interruption
    left: tuple[str, ...] = ()  # what could not be removed

    def count(self, state: State) -> int:
        """How many ended so."""
        return sum(outcome.state is state for outcome in self.outcomes)

    @property
    def is_good(self) -> bool:
        """Whether nothing failed, all was run, and nothing is left."""
        return not self.count(State.FAILED) and not self.not_run and not self.left

    @property
    def summary(self) -> str:
        """The counts in a line."""
        counts = ", ".join(f"{self.count(state)} {state.value}" for state in State)
        missing = f", {self.not_run} not run" if self.not_run else ""
        return f"{counts}{missing} in {self.seconds:.1f} s"
