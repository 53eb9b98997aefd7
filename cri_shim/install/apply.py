"""Doing what a plan says, and going back by the record of it. The record is written first: a kill leaves it true."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from cri_shim import __version__
from cri_shim.errors import FailedPrecondition
from cri_shim.install.found import inside, read
from cri_shim.install.values import MANIFEST, MANIFEST_MODE, Content, Manifest
from cri_shim.linux.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cri_shim.install.undo import Undoing
    from cri_shim.install.values import Change, Mode, Plan


def install(root: str, plan: Plan, mode: Mode, former: Manifest | None) -> None:
    """Do it all. Raises OSError for a file that can't be written, FailedPrecondition for a command that fails."""
    if plan.changes:
        paths = (MANIFEST, *(change.path for change in plan.changes))
        manifest = Manifest(__version__, mode, plan.changes, tuple(_missing_directories(root, paths)))
        _record(root, _joined(former, manifest) if former else manifest)
    _do(root, plan)


def uninstall(root: str, undoing: Undoing, manifest: Manifest) -> None:
    """Go back; what can't be undone stays on record. Raises as `install` does."""
    _do(root, undoing.plan)
    if undoing.left:
        _record(root, replace(manifest, changes=undoing.left))
    else:
        os.unlink(inside(root, MANIFEST))
    for directory in sorted(manifest.directories, key=len, reverse=True):
        _remove_if_empty(inside(root, directory))


def _do(root: str, plan: Plan) -> None:
    _run(plan.first)
    for change in plan.changes:
        _put(root, change)
    _run(plan.commands)


def _run(commands: Iterable[tuple[str, ...]]) -> None:
    for command in commands:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise FailedPrecondition(
                f"`{' '.join(command)}` ended with {done.returncode}: {said}\n"
                f"what was done to files is in {MANIFEST}: `cri-shim uninstall --apply` undoes it"
            )


def _joined(former: Manifest, new: Manifest) -> Manifest:
    """The record of both installations: of a path that was ours already, what was there before the first."""
    changes = {change.path: change for change in former.changes}
    for change in new.changes:
        known = changes.get(change.path)
        ours = known is not None and known.after == change.before
        changes[change.path] = replace(known, after=change.after) if known and ours else change
    directories = dict.fromkeys((*former.directories, *new.directories))
    return Manifest(new.version, new.mode, tuple(changes.values()), tuple(directories))


def _record(root: str, manifest: Manifest) -> None:
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2).decode() + "\n"
    _write(root, MANIFEST, Content(text, MANIFEST_MODE))


def _put(root: str, change: Change) -> None:
    place = inside(root, change.path)
    if change.after is None:
        if read(root, change.path) is not None:
            os.unlink(place)
    elif change.after.link:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if change.before is not None:
            os.unlink(place)
        os.symlink(change.after.link, place)
    else:
        _write(root, change.path, change.after)


def _write(root: str, path: str, content: Content) -> None:
    place = os.path.realpath(inside(root, path)) if root == "/" else inside(root, path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    owner = os.lstat(place) if os.path.lexists(place) else None
    write_atomic(place, content.text.encode(), content.mode)
    if owner is not None:
        os.chown(place, owner.st_uid, owner.st_gid)


def _missing_directories(root: str, paths: Iterable[str]) -> list[str]:
    """The directories above `paths` that aren't there yet."""
    missing: set[str] = set()
    for path in paths:
        above = os.path.dirname(path)
        while not os.path.isdir(inside(root, above)):
            missing.add(above)
            above = os.path.dirname(above)
    return sorted(missing)


def _remove_if_empty(directory: str) -> None:
    if os.path.isdir(directory) and not os.listdir(directory):
        os.rmdir(directory)
