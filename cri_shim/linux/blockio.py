"""The node's classes of block I/O: an operator's file, and the block devices that its patterns name. All of it blocks.

As with containerd's tasks service, whose file it is, a class is what it can be: what makes no sense in it, or names no
device, is left out and logged.

Source: goresctrl `pkg/blockio/blockio.go`.
"""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import TYPE_CHECKING

import structlog

from cri_shim.errors import InvalidArgument
from cri_shim.linux import documents
from cri_shim.oci.blockio import block_io, parse
from cri_shim.oci.glob import glob

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cri_shim.oci.blockio import Device
    from cri_shim.oci.linux_spec import BlockIo

log = structlog.get_logger(__name__)


def classes(path: str) -> Mapping[str, BlockIo] | None:
    """The classes in the file at `path` by name; None, logged, for one that can't be read, and for no path."""
    if not path:
        return None
    try:
        found = parse(documents.read(path))
    except (OSError, InvalidArgument) as error:
        problem = (error.strerror if isinstance(error, OSError) else "") or str(error)
        log.error("classes of block I/O not enabled", blockio_config_file=path, error=problem)
        return None
    return {name: block_io(parameters, _devices, partial(_left_out, path, name)) for name, parameters in found.items()}


def _left_out(path: str, name: str, problem: str) -> None:
    log.warning("part of a block I/O class left out", blockio_config_file=path, block_io_class=name, error=problem)


def _devices(patterns: Sequence[str]) -> list[Device]:
    """The block devices that match any of the patterns, links followed, each once."""
    found: dict[Device, None] = {}
    for pattern in patterns:
        matches = [] if glob(pattern) is None else list(_matching(pattern))
        if not matches:
            log.warning("no device matches a pattern of a block I/O class", pattern=pattern)
        for path in matches:
            if (device := _block_device(path)) is not None:
                found[device] = None
    return list(found)


def _matching(pattern: str) -> Iterator[str]:
    """The paths that match as Go's `filepath.Glob` finds them: a star takes names that begin with a dot, too."""
    directory, name = os.path.split(pattern)
    if not name:
        return
    if not set("*?[\\") & set(pattern):
        yield from (path for path in (pattern,) if os.path.lexists(path))
        return
    matches = glob(name)
    for parent in [directory] if directory in ("/", "") else _matching(directory):
        try:
            names = sorted(os.listdir(parent or "."))
        except OSError:
            continue
        yield from (os.path.join(parent, entry) for entry in names if matches and matches.fullmatch(entry))


def _block_device(path: str) -> Device | None:
    try:
        status = os.stat(path)
    except OSError as error:
        log.warning("device of a block I/O class left out", path=path, error=error.strerror)
        return None
    if not stat.S_ISBLK(status.st_mode):
        log.warning("device of a block I/O class left out", path=path, error="not a block device")
        return None
    return os.major(status.st_rdev), os.minor(status.st_rdev)
