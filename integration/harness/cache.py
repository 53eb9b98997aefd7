"""Things that are built once and kept: file trees named by a hash of their recipe.

A tree is built beside its final place and renamed when it is whole, so a half-built one is never used; a lock keeps
two runs from building the same. Whoever holds the path may use it without a lock: trees are never changed, and one
is removed only when nobody has asked for it in a month.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from integration.harness.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_KEPT_UNUSED: Final = 30 * 24 * 3600  # seconds


def cache_directory() -> Path:
    """$CRI_SHIM_CACHE, else `cri-shim` in the user's cache directory (XDG base directory specification); made."""
    base = os.environ.get("CRI_SHIM_CACHE")
    if not base:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "cri-shim")
    path = Path(os.path.abspath(base))
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(
            f"the cache directory {path} can't be made: {error.strerror}",
            remedy="name another one: export CRI_SHIM_CACHE=/a/directory/with/3G/free",
        ) from error
    return path


def key(recipe: Sequence[object]) -> str:
    """Sixteen hex digits that stand for a recipe, a sequence of JSON values."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def digest(file: Path) -> str:
    """The SHA-256 of a file, for a recipe."""
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def tree(name: str, recipe: Sequence[object], build: Callable[[Path], None]) -> Path:
    """The directory that `build` fills from `recipe`, built now if it isn't there yet.

    `build` gets an empty directory; what it raises is passed on, and nothing of the attempt stays.
    """
    directory = cache_directory()
    final = directory / f"{name}-{key(recipe)}"
    if not final.is_dir():
        with _locked(directory / f"{name}.lock", f"another run builds {name}"):
            if not final.is_dir():
                _build(directory, name, final, build)
                _prune(directory, name, final)
    os.utime(final)
    return final


def _build(directory: Path, name: str, final: Path, build: Callable[[Path], None]) -> None:
    for dead in directory.glob(f".building-{name}-*"):  # we hold the lock: whoever built these was killed
        shutil.rmtree(dead, ignore_errors=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".building-{name}-", dir=directory))
    unfinished.chmod(0o755)
    print(f"building {final.name} in {directory}, once ...", file=sys.stderr, flush=True)
    begin = time.monotonic()
    try:
        build(unfinished)
        os.rename(unfinished, final)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    print(f"built {final.name} in {time.monotonic() - begin:.1f} s", file=sys.stderr, flush=True)


def _prune(directory: Path, name: str, keep: Path) -> None:
    digits = len(keep.name) - len(name) - 1
    for other in directory.glob(f"{name}-{'[0-9a-f]' * digits}"):
        if other != keep and time.time() - other.stat().st_mtime > _KEPT_UNUSED:
            shutil.rmtree(other, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path, reason: str) -> Iterator[None]:
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting: {reason} ({path})", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
