"""What a check is, and what can come of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cri_shim.smoke.subject import Subject

    CheckFunction: TypeAlias = Callable[[Subject], Awaitable[None]]


class Failed(Exception):
    """The endpoint does otherwise than it should: what was `expected`, and what `came`."""

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(f"expected {expected}; came {came}")
        self.expected = expected
        self.came = came


class Skipped(Exception):
    """The check says nothing about this endpoint, for the reason that is the text."""


class State(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """What came of a check: `expected` and `came` of one that failed, the `reason` for which one was skipped."""

    check: Check
    state: State
    seconds: float
    expected: str = ""
    came: str = ""
    reason: str = ""

    @property
    def text(self) -> str:
        """Why it did not pass; empty for one that did."""
        return f"expected {self.expected}; came {self.came}" if self.state is State.FAILED else self.reason


@dataclass(frozen=True)
class Check:
    """One promise of a CRI runtime."""

    id: str
    capability: str
    sentence: str
    run: CheckFunction = field(repr=False)


@dataclass
class Capability:
    """The checks of one capability, in the order in which their functions stand in the module."""

    name: str
    checks: list[Check] = field(default_factory=list)

    def check(self, function: CheckFunction) -> CheckFunction:
        """Make `function` a check: its name is its id, its docstring the sentence."""
        name = getattr(function, "__name__", "").replace("_", "-")
        sentence = (function.__doc__ or "").strip()
        self.checks.append(Check(f"{self.name}.{name}", self.name, sentence, function))
        return function
