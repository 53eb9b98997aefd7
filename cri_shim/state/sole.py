"""One server for each state directory: two would adopt each other's pods and sweep each other's files."""

from __future__ import annotations

import fcntl
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyio import to_thread

from cri_shim.errors import AlreadyExists

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOCK = "cri-shim.lock"


@asynccontextmanager
async def sole_server(directory: str) -> AsyncIterator[None]:
    """Hold the directory's lock. Raises AlreadyExists, with its pid, while another process holds it.

    The kernel lets go of it when the process ends, however that comes; the file stays. Children don't inherit it.
    """
    lock = await to_thread.run_sync(_lock, directory)
    try:
        yield
    finally:
        os.close(lock)


def _lock(directory: str) -> int:
    lock = os.open(os.path.join(directory, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except BaseException as error:
        holder = _holder(lock)
        os.close(lock)
        if not isinstance(error, BlockingIOError):
            raise
        raise AlreadyExists(
            f"another cri-shim{holder} serves from {directory}: end it first, or give this one a --state and a "
            "containerd of its own"
        ) from None
    return lock


def _holder(lock: int) -> str:
    """The pid that the holder has written, if it has come so far."""
    text = os.pread(lock, 32, 0).decode(errors="replace").strip()
    return f" (pid {text})" if text else ""
