"""The timeline of a pod's start: what is recorded, by whom, and when not."""

from __future__ import annotations

import time

import anyio
import anyio.lowlevel
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.observe.timeline import Step, Timeline, step


def test_a_step_has_its_name_its_lane_and_its_place_in_the_timeline():
    timeline = Timeline("RunPodSandbox")
    with timeline.recording():
        time.sleep(0.002)
        with step("CNI ADD", lane="network"):
            time.sleep(0.002)
    [found] = timeline.steps
    assert (found.name, found.lane, found.failed) == ("CNI ADD", "network", False)
    assert found.start >= 2
    assert found.length >= 2


def test_steps_stand_in_the_order_in_which_they_ended():
    timeline = Timeline("RunPodSandbox")
    with timeline.recording(), step("outer"), step("inner"):
        pass
    inner, outer = timeline.steps
    assert (inner.name, outer.name) == ("inner", "outer")
    assert outer.start <= inner.start
    assert outer.start + outer.length >= inner.start + inner.length - 0.002  # each is rounded


def test_a_step_that_fails_is_recorded_as_failed_and_its_error_passes():
    timeline = Timeline("RunPodSandbox")
    with pytest.raises(KeyError), timeline.recording(), step("snapshot"):
        raise KeyError
    assert [found.failed for found in timeline.steps] == [True]


def test_without_a_timeline_a_step_is_taken_and_goes_nowhere():
    taken = []
    with step("CNI ADD"):
        taken.append(True)
    assert taken


def test_nothing_is_recorded_once_the_recording_has_ended():
    timeline = Timeline("RunPodSandbox")
    with timeline.recording():
        pass
    with step("later"):
        pass
    assert timeline.steps == []


def test_a_timeline_within_another_has_its_steps_to_itself():
    outer, inner = Timeline("outer"), Timeline("inner")
    with outer.recording():
        with inner.recording(), step("one"):
            pass
        with step("two"):
            pass
    assert [[found.name for found in each.steps] for each in (outer, inner)] == [["two"], ["one"]]


@pytest.mark.anyio
async def test_tasks_record_into_the_timeline_that_they_were_started_in():
    async def work(name: str) -> None:
        with step(name, lane=name):
            await anyio.lowlevel.checkpoint()

    async def pod(timeline: Timeline) -> None:
        with timeline.recording():
            async with anyio.create_task_group() as lanes:
                lanes.start_soon(work, "network")
                lanes.start_soon(work, "container")

    one, other = Timeline("one"), Timeline("other")
    async with anyio.create_task_group() as pods:
        pods.start_soon(pod, one)
        pods.start_soon(pod, other)
    for timeline in (one, other):
        assert sorted(found.lane for found in timeline.steps) == ["container", "network"]


@pytest.mark.anyio
async def test_a_step_that_is_cancelled_is_recorded_as_failed():
    timeline = Timeline("RunPodSandbox")
    with timeline.recording(), anyio.move_on_after(0), step("CNI ADD"):
        await anyio.sleep_forever()
    assert [found.failed for found in timeline.steps] == [True]


STEPS = st.builds(Step, st.text(), st.text(), st.floats(0, 1e6), st.floats(0, 1e6), st.booleans())


@given(st.text(), st.integers(0, 2**62), st.lists(STEPS))
def test_what_is_written_reads_as_it_was(name, began, steps):
    read = Timeline.from_json(Timeline(name, began, steps).to_json())
    assert (read.name, read.began, read.steps) == (name, began, steps)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": 1}'])
def test_what_is_no_timeline_is_refused(text):
    with pytest.raises(msgspec.MsgspecError):
        Timeline.from_json(text)
