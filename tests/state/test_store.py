from __future__ import annotations

from dataclasses import dataclass

import pytest

from cri_shim.errors import InvalidArgument, NotFound
from cri_shim.state.store import Store


@dataclass(frozen=True)
class Thing:
    id: str


@pytest.fixture
def store() -> Store[Thing]:
    store: Store[Thing] = Store("sandbox")
    for name in ("abc1", "abd2", "ff"):
        store.add(Thing(name))
    return store


def test_an_id_a_unique_beginning_and_nothing_else_finds_an_object(store: Store[Thing]) -> None:
    assert store.find("abc1").id == "abc1"
    assert store.find("abc").id == "abc1"
    with pytest.raises(NotFound, match="sandbox 'x': not found"):
        store.find("x")


def test_an_id_that_is_the_beginning_of_another_is_still_found() -> None:
    store: Store[Thing] = Store("container")
    store.add(Thing("ab"))
    store.add(Thing("abc"))
    assert store.find("ab").id == "ab"


def test_an_ambiguous_or_empty_id_is_refused_with_what_to_do(store: Store[Thing]) -> None:
    with pytest.raises(InvalidArgument, match=r"beginning of 2 ids .*give more of it"):
        store.find("ab")
    with pytest.raises(InvalidArgument, match="is empty"):
        store.find("")


def test_a_removed_object_is_not_found_and_removing_twice_is_no_error(store: Store[Thing]) -> None:
    store.remove(Thing("abc1"))
    store.remove(Thing("abc1"))
    with pytest.raises(NotFound):
        store.find("abc1")
    assert store.find("ab").id == "abd2"
    assert len(store) == 2


def test_a_filter_reads_a_unique_beginning_as_the_full_id_and_leaves_the_rest_alone(store: Store[Thing]) -> None:
    assert store.full_id("abc") == "abc1"
    assert store.full_id("ab") == "ab"
    assert store.full_id("") == ""
