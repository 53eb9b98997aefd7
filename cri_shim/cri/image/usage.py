"""How much disk images and writable layers take: measured in the background, served from memory.

A committed snapshot never changes, nor does a sandbox's, which is read-only: they are measured once, other active ones
each round. A round costs containerd a walk through each container's files, and comes shortly before somebody is
expected to ask (`stats/pace.py`): the pause between two is `stats_collect_period` at least, and as long as a round
took: a slow disk is not made slower.
Source: containerd `internal/cri/store/snapshot`, `internal/cri/server/images/snapshots.go`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import structlog

from cri_shim.api.containerd.services.snapshots.v1 import snapshots_pb2
from cri_shim.errors import CriError, NotFound
from cri_shim.stats.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from cri_shim.config.settings import Settings
    from cri_shim.containerd.client import Client

log = structlog.get_logger(__name__)

_PLUGIN_TYPE = "io.containerd.snapshotter.v1"


@dataclass(frozen=True)
class Usage:
    """One snapshot's: bytes and inodes, when they were counted (ns since the epoch), and whether they may change."""

    size: int
    inodes: int
    at: int
    active: bool


class SnapshotUsage:
    """The usage of every snapshot, by snapshotter and key."""

    def __init__(self, containerd: Client, settings: Settings, sandboxes: Container[str]) -> None:
        """`sandboxes`: the ids of those that there are."""
        self._containerd = containerd
        self._settings = settings
        self._sandboxes = sandboxes
        self._pace = Pace(settings.images.stats_collect_period)
        self._measured_at = 0.0
        self._wanted = anyio.Event()
        self._usage: dict[str, dict[str, Usage]] = {name: {} for name in self.snapshotters}
        self._roots: dict[str, str] = {}

    @property
    def snapshotters(self) -> list[str]:
        """All snapshotters that handlers use, the default one first: the kubelet looks at the first."""
        settings = self._settings
        handlers = settings.runtime.containerd.runtimes.values()
        return list(dict.fromkeys([settings.images.snapshotter, *map(settings.snapshotter_of, handlers)]))

    def of(self, snapshotter: str, key: str) -> Usage | None:
        """The usage of one snapshot; None before it has been measured."""
        self._asked()
        return self._usage.get(snapshotter, {}).get(key)

    def total(self, snapshotter: str) -> Usage:
        """The sum over a snapshotter, as old as its oldest part; zeros, as of now, before the first round."""
        self._asked()
        return _sum(list(self._usage.get(snapshotter, {}).values()))

    def writable(self, snapshotter: str) -> Usage:
        """As `total`, of the snapshots that can change: containers' layers."""
        return _sum([one for one in self._usage.get(snapshotter, {}).values() if one.active])

    def root(self, snapshotter: str) -> str:
        """The directory that a snapshotter keeps its files in."""
        default = f"{self._settings.containerd.root}/{_PLUGIN_TYPE}.{snapshotter}"
        return self._roots.get(snapshotter, default)

    async def collect(self) -> None:
        """Measure, for ever."""
        while True:
            self._wanted = anyio.Event()
            begin = time.monotonic()
            try:
                await self._collect_all()
            except CriError as error:
                log.info("disk usage not measured this time", error=str(error))
            self._measured_at = now = time.monotonic()
            with anyio.move_on_after(max(self._pace.pause(now, 0.0), now - begin)):
                await self._wanted.wait()

    def _asked(self) -> None:
        """Somebody asks; after a long silence, what the next answer says is to be newer."""
        now = time.monotonic()
        self._pace.asked(now)
        if self._pace.stale(now - self._measured_at, 0.0):
            self._wanted.set()

    async def _collect_all(self) -> None:
        if not self._roots:
            for plugin in await self._containerd.introspection.plugins(f"type=={_PLUGIN_TYPE}"):
                if "root" in plugin.exports:
                    self._roots[plugin.id] = plugin.exports["root"]
        for snapshotter in self.snapshotters:
            self._usage[snapshotter] = await self._measure(snapshotter)

    async def _measure(self, snapshotter: str) -> dict[str, Usage]:
        known, found = self._usage[snapshotter], {}
        for info in await self._containerd.snapshots.list(snapshotter):
            active = info.kind == snapshots_pb2.ACTIVE and info.name not in self._sandboxes
            before = known.get(info.name)
            if before is not None and not active and not before.active:
                found[info.name] = Usage(before.size, before.inodes, time.time_ns(), active=False)
                continue
            try:
                usage = await self._containerd.snapshots.usage(snapshotter, info.name)
            except NotFound:  # removed since it was listed
                continue
            found[info.name] = Usage(usage.size, usage.inodes, time.time_ns(), active)
        return found


def _sum(parts: Sequence[Usage]) -> Usage:
    return Usage(
        size=sum(part.size for part in parts),
        inodes=sum(part.inodes for part in parts),
        at=min((part.at for part in parts), default=time.time_ns()),
        active=all(part.active for part in parts),
    )
