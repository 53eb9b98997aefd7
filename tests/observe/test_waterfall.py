"""A waterfall shows each step once, where its time went, in the width it is given."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.observe.timeline import Step, Timeline
from cri_shim.observe.waterfall import COLOURS, render

BEGAN = 1_700_000_000_000_000_000

POD = Timeline(
    "RunPodSandbox",
    began=BEGAN,
    steps=[
        Step("record", "main", 0.0, 2.0),
        Step("netns", "network", 2.0, 2.0),
        Step("snapshot", "container", 2.5, 7.5),
        Step("CNI ADD", "network", 4.0, 40.0),
        Step("task create", "container", 10.0, 40.0),
        Step("task start", "main", 50.0, 10.0),
    ],
)
CONTAINER = Timeline("CreateContainer", began=BEGAN + 60_000_000, steps=[Step("snapshot", "main", 0.0, 40.0)])

times = st.floats(0, 1e6, allow_nan=False)
words = st.text("abc xyz", min_size=1, max_size=12)
steps = st.builds(Step, words, st.sampled_from(["main", "network", "container"]), times, times, st.booleans())
timelines = st.builds(Timeline, words, st.integers(BEGAN, BEGAN + 10**10), st.lists(steps, max_size=12))


def lines(*given: Timeline, width: int = 100) -> list[str]:
    return render(given, width).splitlines()


def line_of(name: str, *given: Timeline, width: int = 100) -> str:
    (line,) = (line for line in lines(*given, width=width) if f" {name} " in line)
    return line


def bar(line: str) -> tuple[int, int]:
    """The columns of a line's bar: its first, and the first after it."""
    columns = [column for column, shape in enumerate(line) if shape in "╺━╸"]
    return columns[0], columns[-1] + 1


def test_nothing_is_drawn_where_nothing_was_recorded() -> None:
    assert render([]) == render([Timeline("RunPodSandbox")]) == ""


def test_each_step_has_a_line_with_its_length() -> None:
    assert line_of("CNI ADD", POD).endswith(" 40.0 ms")
    assert line_of("record", POD).endswith(" 2.0 ms")
    assert len(lines(POD)) == 1 + len(POD.steps) + 2


def test_the_title_has_the_time_from_the_first_step_to_the_end_of_the_last() -> None:
    assert lines(POD)[0].split() == ["RunPodSandbox", "60.0", "ms"]


def test_steps_that_go_on_at_the_same_time_stand_together_lane_by_lane() -> None:
    labels = [line[:24].split() for line in lines(POD)[1:-2]]
    assert labels == [
        ["main", "record"],
        ["network", "netns"],
        ["CNI", "ADD"],
        ["container", "snapshot"],
        ["task", "create"],
        ["main", "task", "start"],
    ]


def test_a_bar_begins_where_the_one_before_it_ended() -> None:
    assert bar(line_of("task start", POD))[0] in range(
        bar(line_of("task create", POD))[1] - 1, bar(line_of("task create", POD))[1] + 1
    )


def test_two_timelines_stand_on_one_axis() -> None:
    pod_end = bar(line_of("task start", POD, CONTAINER))[1]
    (create,) = (line for line in lines(POD, CONTAINER) if line.endswith(" 40.0 ms") and "main" in line)
    assert abs(bar(create)[0] - pod_end) <= 1


def test_the_order_of_the_timelines_is_that_of_their_beginnings() -> None:
    assert render([CONTAINER, POD]) == render([POD, CONTAINER])


def test_a_part_of_a_step_is_set_in_below_it() -> None:
    timeline = Timeline("x", BEGAN, [Step("inner", "main", 1, 2), Step("outer", "main", 0, 5)])
    outer, inner = lines(timeline)[1:3]
    assert outer.index("outer") + 1 == inner.index("inner")


def test_a_failed_step_is_marked_and_red() -> None:
    timeline = Timeline("x", BEGAN, [Step("CNI ADD", "network", 0, 5, failed=True)])
    assert "✗" in render([timeline])
    assert "<red:✗" in render([timeline], 80, lambda text, style: f"<{style}:{text}>")


def test_each_lane_has_a_colour_of_its_own() -> None:
    painted = render([POD], 100, lambda text, style: f"<{style}:{text}>")
    used = [colour for colour in COLOURS if f"<{colour}:" in painted]
    assert used == list(COLOURS[:3])


def test_an_instant_is_still_seen() -> None:
    timeline = Timeline("x", BEGAN, [Step("long", "main", 0, 1000), Step("instant", "main", 1000, 0)])
    assert bar(line_of("instant", timeline))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_lines_are_no_wider_than_asked(width: int) -> None:
    assert max(map(len, lines(POD, CONTAINER, width=width))) <= width


@pytest.mark.parametrize("total", [0.4, 7, 60, 335, 1999, 12345, 60_000])
@pytest.mark.parametrize("width", [40, 72, 80, 110])
def test_the_figures_below_the_bars_stand_apart(total: float, width: int) -> None:
    ruler, figures = lines(Timeline("x", BEGAN, [Step("all of it", "main", 0, total)]), width=width)[-2:]
    read = [float(figure) for figure in figures.split()[:-1]]
    assert len(read) in (ruler.count("┴"), ruler.count("┴") - 1)  # the last one may have no room
    assert len({round(later - earlier, 6) for earlier, later in pairwise(read)}) <= 1


@given(st.lists(timelines, max_size=3))
def test_whatever_was_recorded_is_drawn(given: list[Timeline]) -> None:
    drawn = render(given, 120).splitlines()
    recorded = [timeline for timeline in given if timeline.steps]
    steps = sum(len(timeline.steps) for timeline in recorded)
    assert len(drawn) == (steps + len(recorded) + 2 if recorded else 0)
