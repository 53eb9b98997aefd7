"""A node's path never leads to the host's files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration.harness.inside import resolve

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("/run")
    (tmp_path / "var/up").symlink_to("../run/below")
    (tmp_path / "run/out").symlink_to("../../../../etc/passwd")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/run/x", "run/x"),
        ("run//x/.", "run/x"),
        ("/var/run/x", "run/x"),
        ("/var/up/y", "run/below/y"),
        ("/run/out", "etc/passwd"),
        ("/../../etc/shadow", "etc/shadow"),
        ("/", ""),
    ],
)
def test_links_and_dots_are_followed_inside_the_root(root: Path, path: str, expected: str) -> None:
    assert resolve(root, path) == root / expected


def test_a_loop_of_links_is_an_error(root: Path) -> None:
    with pytest.raises(OSError, match="symbolic links"):
        resolve(root, "/loop/x")
