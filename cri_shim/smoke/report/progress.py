"""The checks while they run: a bar on a terminal, and elsewhere a line for each that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from cri_shim.smoke.check import State
from cri_shim.smoke.report.plain import plain

if TYPE_CHECKING:
    from rich.console import Console

    from cri_shim.smoke.check import Check, Outcome

COLOURS: Final = {State.PASSED: "green", State.FAILED: "bold red", State.SKIPPED: "yellow"}


class Watcher:
    """Told of each check as it begins and ends; keeps the outcomes."""

    def __init__(self, console: Console, total: int) -> None:
        self.outcomes: list[Outcome] = []
        self._console = console
        self._running: list[str] = []
        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=total)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def began(self, check: Check) -> None:
        """It runs."""
        self._running.append(check.id)
        self._show()

    def ended(self, outcome: Outcome) -> None:
        """It has run."""
        self._running.remove(outcome.check.id)
        self.outcomes.append(outcome)
        if not self._console.is_terminal:
            self._console.print(_line(outcome), soft_wrap=True)
        elif outcome.state is State.FAILED:
            self._console.print(_line(outcome))
        self._progress.advance(self._task)
        self._show()

    def _show(self) -> None:
        self._progress.update(self._task, description=" ".join(self._running))


def _line(outcome: Outcome) -> Text:
    state = Text(f"{outcome.state.value:<7}", COLOURS[outcome.state])
    line = state.append(f" {outcome.check.id} ({outcome.seconds:.2f} s)", "default")
    return line.append_text(plain(f": {outcome.text}")) if outcome.text else line
