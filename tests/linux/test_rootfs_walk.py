"""The way through a root file system on foot is the kernel's, in any tree of directories, files and links."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import assume, example, given
from hypothesis import strategies as st

from cri_shim.linux.rootfs import _openat2, walk_in_root

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(st.sampled_from(["a", "b", "c", ".", "..", ""]), min_size=1, max_size=6).map("/".join)
TARGETS = st.builds(lambda start, steps: start + (steps or "."), st.sampled_from(["", "/"]), STEPS)
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.sampled_from(["directory", "file"]) | TARGETS, max_size=8
)
NO_SUCH_CALL = ("OSError 38", "PermissionError 1")
OUTCOMES = ("FileNotFoundError", "NotADirectoryError", "OSError 40")  # too many links


def grow(root: Path, tree: dict[str, str]) -> None:
    """Directories, files and links, as far as they fit together."""
    for place, what in sorted(tree.items()):
        path = root / place
        try:
            if what == "directory":
                path.mkdir()
            elif what == "file":
                path.write_text(place)
            else:
                path.symlink_to(what)
        except OSError:  # below what is no directory
            continue


def outcome(opened: Callable[[], int]) -> str:
    try:
        found = opened()
    except OSError as error:
        return f"{type(error).__name__} {error.errno}"
    try:
        return os.readlink(f"/proc/self/fd/{found}")
    finally:
        os.close(found)


@given(TREES, STEPS)
@example({}, "")
@example({"a": "file"}, "a/")
@example({"a": "file"}, "a/..")
@example({"a": "../../../b", "b": "directory", "b/c": "/a"}, "b/c/c/..")
@example({"a": "b", "b": "a"}, "a")
def test_on_foot_the_way_is_the_kernels(tree: dict[str, str], path: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "root")
        root.mkdir()
        grow(root, tree)
        held = os.open(root, os.O_PATH | os.O_DIRECTORY)
        try:
            found = outcome(lambda: walk_in_root(held, path))
            kernels = outcome(lambda: _openat2(held, path))
        finally:
            os.close(held)
        assume(not kernels.startswith(NO_SUCH_CALL))
        assert found == kernels
        assert found.startswith((str(root), *OUTCOMES))
