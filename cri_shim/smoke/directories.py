"""A run's directory on the node: its logs and volumes, and a lock that shows to others that it is alive."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread

from cri_shim.linux import mountinfo, mounts, own_thread, syscalls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.smoke.place import Place

ROOT: Final = "/var/lib/cri-smoke"
_LOCK: Final = "lock"
_RUN: Final = re.compile(r"^[0-9a-f]{8}$")


def of(run: str) -> str:
    """Its path on the node."""
    return f"{ROOT}/{run}"


@asynccontextmanager
async def made(place: Place, run: str) -> AsyncIterator[None]:
    """The directory of a run, for the length of the block. Raises OSError when it can't be made."""
    lock = await to_thread.run_sync(_make, os.fspath(place.path(of(run))))
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await remove(place, run)
            os.close(lock)


async def remove(place: Place, run: str) -> None:
    """Remove it with all that is in it; what a container has mounted there for the node is unmounted."""
    await own_thread.call_async(_unmount_below, place, of(run))
    await to_thread.run_sync(_remove, os.fspath(place.path(of(run))))


async def runs(place: Place) -> set[str]:
    """The runs that have one."""
    return await to_thread.run_sync(_runs, os.fspath(place.path(ROOT)))


def is_alive(place: Place, run: str) -> bool:
    """Whether a run with this name goes on: its lock is held."""
    try:
        lock = os.open(os.fspath(place.path(f"{of(run)}/{_LOCK}")), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _make(path: str) -> int:
    os.makedirs(path)
    lock = os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _unmount_below(place: Place, path: str) -> None:
    """For a thread of its own, which goes where the runtime's mounts are."""
    targets = [each.target for each in mountinfo.read(place.pid) if mounts.is_below(each.target, path)]
    if targets and place.root:
        namespace = os.open(f"/proc/{place.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.unshare(syscalls.CLONE_FS)  # setns(2) takes no thread that shares its root with others
            syscalls.setns(namespace, syscalls.CLONE_NEWNS)
        finally:
            os.close(namespace)
    for target in reversed(targets):
        with suppress(OSError):
            mounts.unmount(target)


def _remove(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)  # a log may be written to just now
    with suppress(OSError):
        os.rmdir(os.path.dirname(path))  # other runs may be in it


def _runs(path: str) -> set[str]:
    try:
        return {name for name in os.listdir(path) if _RUN.match(name)}
    except FileNotFoundError:
        return set()
