from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from cri_shim.api.containerd.types.transfer.progress_pb2 import Progress
from cri_shim.cri.image.hosts import host_directory, servers
from cri_shim.cri.image.progress import PullProgress
from cri_shim.cri.image.pulls import Pulls

if TYPE_CHECKING:
    from pathlib import Path


def stalled(progress: PullProgress) -> bool:
    progress.moved -= 100
    found = progress.stalled_for() >= 100
    progress.moved += 100
    return found


def heard(*messages: tuple[str, str, int]) -> PullProgress:
    progress = PullProgress()
    for event, name, done in messages:
        progress.update(Progress(event=event, name=name, progress=done, total=10))
    return progress


def test_a_registry_that_says_nothing_at_all_has_stalled_the_pull() -> None:
    progress = heard(("Resolving from somewhere", "", 0))
    assert stalled(progress)


@pytest.mark.parametrize("event", ["waiting", "downloading"])
def test_a_blob_that_does_not_come_is_a_stall_until_bytes_do(event: str) -> None:
    progress = heard((event, "layer-1", 5))
    assert stalled(progress)
    progress.moved = time.monotonic() - 100
    progress.update(Progress(event=event, name="layer-1", progress=5, total=10))
    assert progress.stalled_for() >= 100
    progress.update(Progress(event=event, name="layer-1", progress=6, total=10))
    assert progress.stalled_for() < 1
    assert progress.bytes_read == 6


@pytest.mark.parametrize("state", ["complete", "already exists", "extracting", "extracted"])
def test_what_has_come_is_waited_for_no_more(state: str) -> None:
    assert not stalled(heard(("downloading", "layer-1", 5), (state, "layer-1", 0)))


def test_a_pull_that_unpacks_is_not_stalled_whatever_else_waits() -> None:
    assert not stalled(heard(("extracting", "layer-1", 0), ("waiting", "layer-2", 0)))


def test_small_blobs_count_when_they_are_complete_and_what_was_there_does_not() -> None:
    assert heard(("complete", "config-1", 0)).bytes_read == 10
    assert heard(("downloading", "layer-1", 4), ("complete", "layer-1", 10)).bytes_read == 10
    assert heard(("already exists", "layer-1", 10)).bytes_read == 0


def test_a_pull_whose_turn_has_not_come_is_not_stalled_while_another_moves() -> None:
    pulls = Pulls()
    with pulls.begin("waits") as waits, pulls.begin("moves") as moves:
        waits.update(Progress(event="waiting", name="layer-1"))
        waits.moved -= 100
        assert pulls.stalled_for(waits) < 1
        moves.moved -= 100
        assert pulls.stalled_for(waits) >= 100
        moves.update(Progress(event="downloading", name="layer-2", progress=1))
        waits.update(Progress(event="downloading", name="layer-1", progress=1))
        waits.moved -= 100
        assert pulls.stalled_for(waits) >= 100, "it has had its turn"
    assert pulls.under_way() == []


def test_the_first_directory_that_speaks_of_the_host_is_chosen(tmp_path: Path) -> None:
    root = tmp_path
    (root / "a" / "other").mkdir(parents=True)
    (root / "b" / "example.com_5000_").mkdir(parents=True)
    (root / "c" / "_default").mkdir(parents=True)
    path = f"{root}/a:{root}/b:{root}/c:"
    assert host_directory(path, "example.com:5000") == f"{root}/b"
    assert host_directory(path, "docker.io") == f"{root}/c"
    assert host_directory(f"{root}/a", "docker.io") == ""
    assert host_directory("", "docker.io") == ""


def test_the_servers_are_told_in_the_order_in_which_they_are_asked(tmp_path: Path) -> None:
    place = tmp_path / "docker.io"
    place.mkdir()
    (place / "hosts.toml").write_text('[host."https://b.test"]\n[host."https://a.test"]\n')
    assert servers(str(tmp_path), "docker.io") == ["https://b.test", "https://a.test", "https://registry-1.docker.io"]
    (place / "hosts.toml").write_text('server = "https://c.test"\n[host."https://c.test"]\n')
    assert servers(str(tmp_path), "docker.io") == ["https://c.test"]
    (place / "hosts.toml").write_text("not TOML")
    assert servers(str(tmp_path), "docker.io") == ["https://registry-1.docker.io"]
    assert servers("", "example.com:5000") == ["https://example.com:5000"]


def test_what_is_done_to_a_layer_has_a_beginning_and_an_end_also_where_the_end_is_not_told() -> None:
    progress, begin = PullProgress(), time.perf_counter()
    told = [
        progress.update(Progress(event=event, name=f"layer-sha256:{layer}", progress=3, total=10))
        for layer, event in (
            ("a", "waiting"),
            ("a", "downloading"),
            ("b", "downloading"),
            ("a", "downloading"),
            ("a", "complete"),
            ("a", "extracting"),
            ("a", "extracted"),
            ("c", "downloading"),
            ("c", "extracting"),
        )
    ]
    assert [done and (done.what, done.blob, done.size) for done in told] == [
        *[None] * 4,
        ("fetch", "layer-sha256:a", 10),
        None,
        ("unpack", "layer-sha256:a", 10),
        None,
        ("fetch", "layer-sha256:c", 10),
    ]
    rest = progress.rest()
    assert [(done.what, done.blob) for done in rest] == [
        ("fetch and unpack", "layer-sha256:b"),
        ("unpack", "layer-sha256:c"),
    ]
    assert all(begin <= done.begin <= time.perf_counter() for done in (*rest, *filter(None, told)))
    assert progress.summary() == {
        "layer-sha256:b": "downloading 0/0 MB",
        "layer-sha256:c": "extracting 0/0 MB",
    }


def test_what_was_on_its_way_when_a_pull_succeeded_has_come() -> None:
    progress = heard(("downloading", "layer-1", 4), ("waiting", "layer-2", 0), ("complete", "config-1", 0))
    progress.completed()
    assert progress.bytes_read == 30
