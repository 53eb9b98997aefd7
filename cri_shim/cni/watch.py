"""Following the configuration directory with inotify(7), through its own disappearance and return."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NoReturn

import anyio
import anyio.to_thread
from asyncinotify import Event, Inotify, Mask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SETTLE: Final = 0.02  # seconds; a writer's few calls become one reload
_CONTENT: Final = (
    Mask.CREATE
    | Mask.CLOSE_WRITE
    | Mask.ATTRIB
    | Mask.DELETE
    | Mask.MOVED_FROM
    | Mask.MOVED_TO
    | Mask.DELETE_SELF
    | Mask.MOVE_SELF
    | Mask.ONLYDIR
)
_PARENT: Final = (
    Mask.CREATE | Mask.DELETE | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.ONLYDIR
)


async def follow(directory: str, changed: Callable[[], Awaitable[None]]) -> NoReturn:
    """Await `changed` once now and after each change in `directory`, also when it is removed or made again.

    Each round sets its watches afresh before `changed` looks, so that nothing falls between. Raises `OSError` when
    the kernel has no watches to give (too many instances or watches in use).
    """
    while True:
        with Inotify() as inotify:
            interesting = await anyio.to_thread.run_sync(_arm, inotify, directory)
            await changed()
            while not interesting(await inotify.get()):
                pass
        await anyio.sleep(_SETTLE)


def _arm(inotify: Inotify, path: str) -> Callable[[Event], bool]:
    """Watch the directory and the nearest of its ancestors that exists; tell which events matter."""
    awaited = directory = os.path.abspath(path)
    while True:
        parent, name = os.path.split(awaited)
        if not _watch(inotify, parent, _PARENT):
            awaited = parent  # an ancestor of it is awaited first
        elif awaited != directory and os.path.lexists(awaited):
            awaited = directory  # it has come while we looked
        else:
            break
    if awaited == directory:
        _watch(inotify, directory, _CONTENT)

    def interesting(event: Event) -> bool:
        elsewhere = event.watch is None or str(event.watch.path) != parent
        return elsewhere or event.name is None or str(event.name) == name

    return interesting


def _watch(inotify: Inotify, path: str, mask: Mask) -> bool:
    try:
        inotify.add_watch(path, mask)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
