"""The cgroups of a run's pods: named by us as a kubelet names its pods', made by the runtime, removed by us."""

from __future__ import annotations

import os
from contextlib import suppress
from glob import glob
from typing import TYPE_CHECKING, Final

from cri_shim.api.runtime import v1 as cri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cri_shim.smoke.place import Place

_NAME: Final = "cri-smoke-"
_ROOTS: Final = ("/sys/fs/cgroup", "/sys/fs/cgroup/*")  # version 2, and each hierarchy of version 1


def parent(driver: cri.CgroupDriver | None, run: str, pod: str) -> str:
    """What a pod names as the parent of its cgroups; "" where the runtime doesn't tell how it names them."""
    if driver is cri.CgroupDriver.CGROUPFS:
        return f"/{_NAME}{run}/{pod}"
    if driver is cri.CgroupDriver.SYSTEMD:
        return f"{_slice(_NAME + run)}-{_slice(pod)}.slice"  # which systemd removes with the last scope in it
    return ""


def remove(place: Place, run: str) -> None:
    """Remove the run's own ones, as far as nothing runs in them."""
    for top in _tops(place, run):
        for directory, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                os.rmdir(directory)


def runs(place: Place) -> set[str]:
    """The runs of which there are some."""
    return {os.path.basename(top).removeprefix(_NAME) for top in _tops(place, "*")}


def _tops(place: Place, run: str) -> Iterator[str]:
    for root in _ROOTS:
        yield from glob(f"{os.fspath(place.path(root))}/{_NAME}{run}")


def _slice(name: str) -> str:
    """A name without the dashes, by which systemd nests slices."""
    return name.replace("-", "_")
