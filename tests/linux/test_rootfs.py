"""An image's author made the root: nothing in it leads out, blocks, or fills the memory."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cri_shim.errors import InvalidArgument
from cri_shim.linux import rootfs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["openat2", "on foot"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root in whose neighbourhood there is a secret; each test runs with both ways of walking."""
    if request.param == "on foot":

        def unknown(_directory: int, path: str) -> int:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), path)

        monkeypatch.setattr(rootfs, "_openat2", unknown)
    (tmp_path / "secret").write_text("outside")
    made = tmp_path / "root"
    (made / "etc").mkdir(parents=True)
    return made


def read(root: Path) -> bytes | None:
    return rootfs.read_file(str(root), "etc/passwd")


def link(root: Path, target: str) -> None:
    (root / "etc/passwd").symlink_to(target)


def test_a_file_is_read(root: Path) -> None:
    (root / "etc/passwd").write_text("root:x:0:0")
    assert read(root) == b"root:x:0:0"
    assert rootfs.read_file(str(root), "/etc//./passwd") == b"root:x:0:0"


@pytest.mark.parametrize(
    "target", ["../usr/passwd", "/usr/passwd", "../../../usr/passwd", "/etc/../usr/./passwd", "/l"]
)
def test_links_are_followed_as_the_container_sees_them(root: Path, target: str) -> None:
    (root / "usr").mkdir()
    (root / "usr/passwd").write_text("inside")
    (root / "l").symlink_to("usr/passwd")
    link(root, target)
    assert read(root) == b"inside"


@pytest.mark.parametrize("target", ["../../secret", "/../secret", "../../../../../../secret"])
def test_no_link_leads_out(root: Path, target: str) -> None:
    link(root, target)
    assert read(root) is None


def test_an_absolute_path_outside_means_one_inside(root: Path, tmp_path: Path) -> None:
    link(root, str(tmp_path / "secret"))
    assert read(root) is None


def test_a_linked_directory_is_no_way_out_either(root: Path) -> None:
    (root / "etc").rmdir()
    (root / "etc").symlink_to("..")
    (root.parent / "passwd").write_text("outside")
    assert read(root) is None


def test_what_is_not_there_is_none(root: Path) -> None:
    assert read(root) is None
    assert rootfs.read_file(str(root), "none/passwd") is None
    (root / "file").write_text("")
    assert rootfs.read_file(str(root), "file/passwd") is None


def test_links_in_a_circle_are_none(root: Path) -> None:
    link(root, "passwd")
    assert read(root) is None
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    assert rootfs.read_file(str(root), "a") is None


def test_what_is_no_regular_file_is_none_and_never_blocks(root: Path) -> None:
    os.mkfifo(root / "etc/passwd")
    start = time.monotonic()
    assert read(root) is None
    assert rootfs.read_file(str(root), "etc") is None
    assert time.monotonic() - start < 1


def test_a_file_above_ten_mebibytes_is_refused(root: Path) -> None:
    with (root / "etc/passwd").open("wb") as file:
        file.truncate(rootfs.MAX_FILE_BYTES)
    found = read(root)
    assert found is not None
    assert len(found) == rootfs.MAX_FILE_BYTES
    with (root / "etc/passwd").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InvalidArgument, match="the image's /etc/passwd has more than 10485760 bytes"):
        read(root)


def test_a_root_that_is_not_there_is_an_error(root: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(root / "none")
    with pytest.raises(FileNotFoundError):
        rootfs.resolve(str(root / "none"), "x")


def test_a_place_inside_is_told_as_the_node_sees_it(root: Path) -> None:
    (root / "data").mkdir()
    (root / "link").symlink_to("/data")
    assert rootfs.resolve(str(root), "/link") == str(root / "data")
    assert rootfs.resolve(str(root), "/") == str(root)
    assert rootfs.resolve(str(root), "/none") is None
    assert rootfs.resolve(str(root), "") is None


def test_no_descriptor_is_left_open(root: Path) -> None:
    link(root, "../../none")
    before = len(os.listdir("/proc/self/fd"))
    read(root)
    rootfs.resolve(str(root), "etc")
    assert len(os.listdir("/proc/self/fd")) == before


def test_other_failures_are_not_swallowed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_directory: int, path: str) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    monkeypatch.setattr(rootfs, "_openat2", broken)
    with pytest.raises(OSError, match="Input/output error"):
        read(root)
    with pytest.raises(OSError, match="Input/output error"):
        rootfs.resolve(str(root), "x")


STEPS = st.lists(st.sampled_from(["a", "b", "..", ".", "up", "abs", "x"]), min_size=1, max_size=7).map("/".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(STEPS)
def test_on_foot_one_comes_where_the_kernel_comes(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    root = tmp_path_factory.getbasetemp() / "walk"
    if not root.exists():
        (root / "a/b/a").mkdir(parents=True)
        (root / "a/b/up").symlink_to("../../..")
        (root / "a/abs").symlink_to("/a/b")
        (root / "a/b/a/x").symlink_to("../up/../a/abs")
    directory = os.open(root, os.O_PATH)
    try:
        assert where(rootfs.walk_in_root, directory, path) == where(rootfs._openat2, directory, path)
    finally:
        os.close(directory)


def where(walk: object, directory: int, path: str) -> str | int | None:
    try:
        found = walk(directory, path)  # type: ignore[operator]
    except OSError as error:
        return error.errno
    try:
        return os.readlink(f"/proc/self/fd/{found}")
    finally:
        os.close(found)
