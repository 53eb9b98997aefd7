"""The cache: built once, whole or not at all."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from integration.harness import cache
from integration.harness.errors import HarnessError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CRI_SHIM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill(directory: Path) -> None:
    (directory / "content").write_text("whole")


def test_the_same_recipe_is_built_once() -> None:
    first = cache.tree("thing", ["recipe"], fill)
    assert (first / "content").read_text() == "whole"
    assert cache.tree("thing", ["recipe"], lambda _: pytest.fail("built twice")) == first


def test_another_recipe_is_another_tree() -> None:
    assert cache.tree("thing", ["one"], fill) != cache.tree("thing", ["two"], fill)


def test_a_build_that_fails_leaves_nothing_and_the_next_one_starts_afresh(directory: Path) -> None:
    def fails(unfinished: Path) -> None:
        fill(unfinished)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        cache.tree("thing", ["recipe"], fails)
    assert [path.name for path in directory.iterdir()] == ["thing.lock"]
    assert (cache.tree("thing", ["recipe"], fill) / "content").exists()


def test_what_a_killed_build_left_is_never_used_and_goes_with_the_next(directory: Path) -> None:
    directory.mkdir()
    left = directory / ".building-thing-abc"
    left.mkdir()
    (left / "content").write_text("half")
    assert (cache.tree("thing", ["recipe"], fill) / "content").read_text() == "whole"
    assert not left.exists()


def test_two_runs_at_once_build_once() -> None:
    built = []

    def slow(directory: Path) -> None:
        built.append(directory)
        time.sleep(0.1)
        fill(directory)

    threads = [threading.Thread(target=cache.tree, args=("thing", ["recipe"], slow)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1


def test_a_tree_that_nobody_asked_for_in_a_month_goes_when_its_successor_is_built(directory: Path) -> None:
    old, recent = cache.tree("thing", ["old"], fill), cache.tree("thing", ["recent"], fill)
    other = cache.tree("thing-else", ["old"], fill)
    for path in (old, other):
        os.utime(path, (0, 0))
    newest = cache.tree("thing", ["new"], fill)
    assert {path for path in directory.iterdir() if path.is_dir()} == {recent, newest, other}


def test_a_cache_that_cannot_be_made_is_said_plainly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CRI_SHIM_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(HarnessError, match="export CRI_SHIM_CACHE="):
        cache.cache_directory()
