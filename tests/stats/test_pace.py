"""Looks come just before calls: few, and yet no answer is old."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.stats.pace import REST, Pace


def looks(pace, calls, until, spent=0.01):
    """When a collector at this pace looks, while it is called at `calls`."""
    now, found, calls = 0.0, [], sorted(calls)
    while now < until:
        found.append(now)
        wait = pace.pause(now, spent)
        while calls and calls[0] <= now + wait:
            pace.asked(calls.pop(0))
        now += wait
    return found


def ages(found, calls):
    return [min(call - look for look in found if look <= call) for call in calls]


def test_without_calls_there_are_few_looks():
    assert looks(Pace(1.0), [], 100) == [REST * n for n in range(10)]


@pytest.mark.parametrize("every", [1, 2, 3, 5, 10, 15])
def test_whoever_calls_regularly_gets_fresh_answers_from_as_many_looks(every):
    calls = [7.3 + every * n for n in range(40)]
    found = looks(Pace(1.0), calls, calls[-1])
    settled = calls[len(calls) // 2 :]
    assert max(ages(found, settled)) < 0.5
    since = [look for look in found if look >= settled[0]]
    assert len(since) <= (settled[-1] - settled[0]) / min(every, REST / 2) + 2


def test_two_who_call_at_different_times_are_both_served():
    calls = sorted([10.0 * n for n in range(20)] + [15.0 * n + 4 for n in range(13)])
    found = looks(Pace(1.0), calls, calls[-1])
    assert len(found) < 200


@given(st.floats(0, 20), st.lists(st.floats(0, 1000), max_size=20), st.floats(0.1, 30))
def test_a_pause_is_neither_too_short_nor_longer_than_the_rest(spent, calls, period):
    pace = Pace(period)
    for call in sorted(calls):
        pace.asked(call)
    pause = pace.pause(max(calls, default=0.0) + 0.5, spent)
    least = max(period, spent * 20)
    assert least * 0.75 - 1e-9 <= pause <= max(least, REST) + 1e-9


def test_calls_that_come_together_count_once():
    pace = Pace(1.0)
    for second in itertools.chain.from_iterable((at, at + 0.01, at + 0.2) for at in range(0, 60, 10)):
        pace.asked(second)
    assert pace.pause(50.25, 0.0) > 8


def test_an_answer_may_be_two_periods_old_and_older_where_looks_are_dear():
    pace = Pace(1.0)
    assert not pace.stale(1.9, 0.01)
    assert pace.stale(2.1, 0.01)
    assert not pace.stale(3.0, 0.1)
