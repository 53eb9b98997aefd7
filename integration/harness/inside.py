"""Paths of a node's as seen from the host, its symbolic links followed inside it.

The kernel follows an absolute link below `/proc/<pid>/root` from the host's root: `…/var/run/x` would be the host's
`/run/x`, since Debian's `/var/run` is a link to `/run`.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_MOST_LINKS: Final = 40  # as the kernel's MAXSYMLINKS


def resolve(root: Path, path: str) -> Path:
    """Where `path`, seen from the root directory `root`, is; it needn't exist. It never leads out of `root`."""
    todo = deque(path.split("/"))
    done: list[str] = []
    links = 0
    while todo:
        name = todo.popleft()
        if name == "..":
            done[-1:] = []
        elif name not in ("", "."):
            target = _link(root.joinpath(*done, name))
            if target is None:
                done.append(name)
                continue
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            done = [] if target.startswith("/") else done
            todo.extendleft(reversed(target.split("/")))
    return root.joinpath(*done)


def _link(path: Path) -> str | None:
    try:
        return os.readlink(path)
    except OSError:  # no link, or nothing there
        return None
