from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cri_shim.api.containerd.types.transfer.progress_pb2 import Progress
from cri_shim.cri.image.hosts import host_directory
from cri_shim.cri.image.progress import PullProgress

if TYPE_CHECKING:
    from pathlib import Path


def stalled(progress: PullProgress) -> bool:
    progress.moved -= 100
    found = progress.stalled_for() >= 100
    progress.moved += 100
    return found


def test_a_pull_without_a_download_is_never_stalled() -> None:
    progress = PullProgress()
    assert not stalled(progress)
    progress.update(Progress(event="extracting", name="layer-1", progress=5))
    progress.update(Progress(event="waiting", name="layer-2"))
    progress.update(Progress(event="Resolving from somewhere"))
    assert not stalled(progress)


def test_a_download_that_stands_still_is_stalled_until_bytes_come() -> None:
    progress = PullProgress()
    progress.update(Progress(event="downloading", name="layer-1", progress=5, total=10))
    assert stalled(progress)
    progress.moved = time.monotonic() - 100
    progress.update(Progress(event="downloading", name="layer-1", progress=5, total=10))
    assert progress.stalled_for() >= 100
    progress.update(Progress(event="downloading", name="layer-1", progress=6, total=10))
    assert progress.stalled_for() < 1
    assert progress.bytes_read == 6


def test_a_download_that_is_complete_is_waited_for_no_more() -> None:
    progress = PullProgress()
    progress.update(Progress(event="downloading", name="layer-1", progress=5))
    progress.update(Progress(event="complete", name="layer-1", progress=10))
    assert not stalled(progress)


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
