"""Timelines as a waterfall for a terminal: a line a step, a bar where its time went.

    RunPodSandbox                                                            104.2 ms
      network    netns               ━                                         2.1 ms
                 CNI ADD              ━━━━━━━━━━━━━━━━━                       43.0 ms
      container  snapshot            ━━━                                       4.4 ms

Steps of several timelines stand on one axis, since each knows when it began. Pure: values in, text out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cri_shim.observe.timeline import Step, Timeline

    Paint = Callable[[str, str], str]

COLOURS: Final = ("cyan", "magenta", "green", "yellow", "blue")
"""What lanes are painted with, in the order in which they appear; a step that failed is red, what is not a bar dim."""

_FAILED, _QUIET, _TITLE = "red", "dim", "bold"
_NARROWEST_BAR: Final = 16
_TIME: Final = 10  # columns of `12345.6 ms`
_INDENT, _GAP = "  ", "  "
_HALF_LEFT, _FULL, _HALF_RIGHT = "╸", "━", "╺"
_TICK_STEPS: Final = (1, 2, 5)
_MOST_TICKS: Final = 8
_TICK_COLUMNS: Final = 6  # a figure of five and a space
_CLOCK: Final = 0.01  # milliseconds by which a step may seem to begin before the one before it ended


def render(timelines: Sequence[Timeline], width: int = 80, paint: Paint | None = None) -> str:
    """The waterfall in lines of at most `width` columns (at least as wide as its names take); "" without a step.

    `paint(text, style)` gives the text in a style: one of COLOURS, "red", "dim" or "bold"; without it there are none.
    """
    timelines = sorted((timeline for timeline in timelines if timeline.steps), key=lambda one: one.began)
    if not timelines:
        return ""
    sheet = _Sheet.of(timelines, width, paint or _plain)
    lines = [line for timeline in timelines for line in sheet.section(timeline)]
    return "\n".join([*lines, *sheet.axis()]) + "\n"


@dataclass(frozen=True)
class _Row:
    """A step with its place: `depth` counts the steps of its lane that it is a part of."""

    step: Step
    depth: int

    @property
    def label(self) -> str:
        """The step's name, set in below those that it is a part of."""
        return " " * self.depth + self.step.name


@dataclass(frozen=True)
class _Sheet:
    """The columns of the page: two of names, one of bars that stand for `total` milliseconds, one of times."""

    began: int
    total: float
    lanes: int
    names: int
    bars: int
    paint: Paint

    @classmethod
    def of(cls, timelines: Sequence[Timeline], width: int, paint: Paint) -> _Sheet:
        began = timelines[0].began
        total = max(_offset(one, began) + _end(one.steps) for one in timelines)
        rows = [row for one in timelines for _, row in _rows(one.steps)]
        lanes = max(len(row.step.lane) for row in rows)
        names = max(len(row.label) for row in rows)
        bars = max(_NARROWEST_BAR, width - len(_INDENT) - lanes - names - _TIME - 3 * len(_GAP))
        return cls(began, total or 1.0, lanes, names, bars, paint)

    def section(self, timeline: Timeline) -> Iterator[str]:
        """One timeline: its name and length, then a line for each step."""
        offset = _offset(timeline, self.began)
        first = min(step.start for step in timeline.steps)
        length = _milliseconds(_end(timeline.steps) - first)
        before = len(_INDENT) + self.lanes + self.names + 2 * len(_GAP) + self.bars + len(_GAP)
        yield self.paint(timeline.name, _TITLE) + " " * max(before - len(timeline.name), 1) + self.paint(length, _TITLE)
        colours: dict[str, str] = {}
        shown = ""
        for lane, row in _rows(timeline.steps):
            colour = colours.setdefault(lane, COLOURS[len(colours) % len(COLOURS)])
            yield self._line("" if lane == shown else lane, row, offset, colour)
            shown = lane

    def axis(self) -> Iterator[str]:
        """The ruler below the bars: ticks at round times."""
        left = " " * (len(_INDENT) + self.lanes + len(_GAP) + self.names + len(_GAP))
        ruler, figures = ["─"] * self.bars, [" "] * self.bars
        for tick in _ticks(self.total, self.bars):
            column = min(int(tick / self.total * self.bars), self.bars - 1)
            ruler[column] = "┴"
            figure = f"{tick:g}"
            if column + len(figure) <= self.bars:
                figures[column : column + len(figure)] = figure
        yield left + self.paint("".join(ruler), _QUIET)
        yield left + self.paint("".join(figures), _QUIET) + _GAP + self.paint(f"{'ms':>{_TIME}}", _QUIET)

    def _line(self, lane: str, row: _Row, offset: float, colour: str) -> str:
        step = row.step
        bar = _bar(offset + step.start, step.length, self.total, self.bars)
        names = self.paint(f"{lane:<{self.lanes}}", colour) + _GAP + f"{row.label:<{self.names}}"
        painted = self.paint(bar, _FAILED if step.failed else colour)
        time = (
            self.paint("✗ " + _milliseconds(step.length), _FAILED) if step.failed else _GAP + _milliseconds(step.length)
        )
        return _INDENT + names + _GAP + painted + time


def _plain(text: str, _style: str) -> str:
    return text


def _offset(timeline: Timeline, began: int) -> float:
    """Milliseconds from `began`, in nanoseconds since the epoch, to the timeline's beginning."""
    return (timeline.began - began) / 1e6


def _end(steps: Iterable[Step]) -> float:
    return max(step.start + step.length for step in steps)


def _rows(steps: Iterable[Step]) -> Iterator[tuple[str, _Row]]:
    """The steps in reading order, each with its lane: what goes on at one time stands together, lane by lane."""
    for group in _groups(sorted(steps, key=lambda step: (step.start, -step.length))):
        lanes: dict[str, list[Step]] = {}
        for step in group:
            lanes.setdefault(step.lane, []).append(step)
        for lane, members in lanes.items():
            for row in _nested(members):
                yield lane, row


def _groups(steps: Iterable[Step]) -> Iterator[list[Step]]:
    """Steps, in the order of their starts, cut wherever none is going on."""
    group: list[Step] = []
    for step in steps:
        if group and step.start >= _end(group) - _CLOCK:
            yield group
            group = []
        group.append(step)
    yield group


def _nested(steps: Iterable[Step]) -> Iterator[_Row]:
    """The steps of one lane; one that lies within another is a part of it."""
    around: list[Step] = []
    for step in steps:
        around = [one for one in around if _holds(one, step)]
        yield _Row(step, len(around))
        around.append(step)


def _holds(outer: Step, inner: Step) -> bool:
    return outer.start + outer.length >= inner.start + inner.length


def _bar(start: float, length: float, total: float, columns: int) -> str:
    """The bar in `columns` columns, drawn to half a column; the shortest step still has half of one."""
    first = min(int(start / total * columns * 2), columns * 2 - 1)
    last = min(max(round((start + length) / total * columns * 2), first + 1), columns * 2)
    cells = [(column * 2 >= first and column * 2 < last, first <= column * 2 + 1 < last) for column in range(columns)]
    shapes = {(True, True): _FULL, (True, False): _HALF_LEFT, (False, True): _HALF_RIGHT, (False, False): " "}
    return "".join(shapes[cell] for cell in cells)


def _milliseconds(length: float) -> str:
    return f"{length:{_TIME - 3}.1f} ms"


def _ticks(total: float, columns: int) -> list[float]:
    """Round times from 0 to `total`: ten at most, and as far apart on `columns` columns as their figures need."""
    step = _round_step(max(total / _MOST_TICKS, total * _TICK_COLUMNS / columns))
    return [number * step for number in range(int(total / step) + 1)]


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below `least`."""
    power = 10.0**-3
    while True:
        for factor in _TICK_STEPS:
            if factor * power >= least:
                return factor * power
        power *= 10
