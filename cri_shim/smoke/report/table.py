"""The result as a table, a row for each check, and what a reader wants to know in the end."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from cri_shim.smoke.check import State
from cri_shim.smoke.report.plain import plain
from cri_shim.smoke.report.progress import COLOURS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from cri_shim.smoke.check import Outcome
    from cri_shim.smoke.report.result import Result

WIDTH: Final = 160  # where there is no terminal to ask
_BAD: Final = "bold red"


def show(result: Result, console: Console) -> None:
    """Print the table, the failures in full, and the summary."""
    console.print(_table(result))
    for outcome in result.outcomes:
        if outcome.state is State.FAILED:
            _show_failure(outcome, console)
    for text in result.left:
        console.print(Text("not removed ", _BAD).append_text(plain(text)))
    colour = "green" if result.is_good else _BAD
    told = plain(f"{result.runtime} {result.version}: {result.summary}")
    told.stylize(colour)
    console.print(Text("\n").append_text(told))


def _show_failure(outcome: Outcome, console: Console) -> None:
    check = outcome.check
    console.print(Text.assemble("\n", ("failed ", _BAD), (check.id, "bold"), "  ", check.sentence))
    for name, text in (("expected", outcome.expected), ("came", outcome.came)):
        console.print(Text(f"  {name:<10}").append_text(plain(text)))


def _table(result: Result) -> Table:
    table = Table(title=plain(result.endpoint), title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("promise, or why not")
    for capability, outcomes in groupby(result.outcomes, lambda outcome: outcome.check.capability):
        _section(table, capability, outcomes)
    return table


def _section(table: Table, capability: str, outcomes: Iterable[Outcome]) -> None:
    rows = list(outcomes)
    passed = sum(outcome.state is State.PASSED for outcome in rows)
    total = sum(outcome.seconds for outcome in rows)
    table.add_section()
    table.add_row(capability, f"{passed}/{len(rows)}", f"{total:.2f}", "", style="bold")
    for outcome in rows:
        name = outcome.check.id.removeprefix(f"{capability}.")
        state = Text(outcome.state.value, COLOURS[outcome.state])
        table.add_row(f"  {name}", state, f"{outcome.seconds:.2f}", plain(outcome.text or outcome.check.sentence))
