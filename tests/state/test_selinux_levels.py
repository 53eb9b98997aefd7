"""No two pods get one level, and a level is free again when the last that used it is gone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.errors import InvalidArgument, ResourceExhausted
from cri_shim.oci.selinux import categories
from cri_shim.state.selinux_levels import SelinuxLevels


def label(level: str) -> str:
    return f"system_u:system_r:container_t:{level}"


@given(st.integers(2, 12))
def test_new_levels_are_all_different_until_there_are_none(category_range: int) -> None:
    levels = SelinuxLevels(category_range)
    seen = set()
    for owner in range(category_range * (category_range - 1) // 2):
        level = levels.new()
        assert all(number < category_range for number in categories(label(level)))
        seen.add(level)
        levels.hold(str(owner), label(level))
    assert len(seen) == category_range * (category_range - 1) // 2
    with pytest.raises(ResourceExhausted, match="selinux_category_range"):
        levels.new()
    levels.release("0")
    assert levels.new() in seen


@given(st.lists(st.sampled_from(["hold", "release"]).flatmap(lambda do: st.tuples(st.just(do), st.integers(0, 3)))))
def test_a_level_is_free_just_when_nobody_holds_it(steps: list[tuple[str, int]]) -> None:
    levels, holders = SelinuxLevels(2), set()  # one level in all
    for do, owner in steps:
        if do == "hold":
            levels.hold(str(owner), label("s0:c0,c1"))
            holders.add(owner)
        else:
            levels.release(str(owner))
            holders.discard(owner)
    if holders:
        with pytest.raises(ResourceExhausted):
            levels.new()
    else:
        assert levels.new() == "s0:c0,c1"


@pytest.mark.parametrize("level", ["s0:c1,c0", "s0-s0:c0,c1", "s0:c0.c1"])
def test_a_level_is_held_however_it_is_spelled(level: str) -> None:
    levels = SelinuxLevels(2)
    levels.hold("pod", label(level))
    with pytest.raises(ResourceExhausted):
        levels.new()


@pytest.mark.parametrize("held", ["", "kernel", label("s0"), "u:r:t"])
def test_what_has_no_categories_holds_nothing_and_ends_what_was_held(held: str) -> None:
    levels = SelinuxLevels(2)
    levels.hold("pod", label("s0:c0,c1"))
    levels.hold("pod", held)
    assert levels.new() == "s0:c0,c1"


@pytest.mark.parametrize("category_range", [1, 1025])
def test_a_range_that_makes_no_level_is_refused(category_range: int) -> None:
    with pytest.raises(InvalidArgument, match=f"selinux_category_range = {category_range}"):
        SelinuxLevels(category_range)


@pytest.mark.parametrize("category_range", [0, -1, 1024])
def test_no_range_is_all(category_range: int) -> None:
    assert categories(label(SelinuxLevels(category_range).new())) < set(range(1024))
