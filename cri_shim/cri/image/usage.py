"""How much disk images and writable layers take: measured in the background, served from memory.

A committed snapshot never changes, so it is measured once; active ones are measured each round. The pause between
rounds is `stats_collect_period`, and at least as long as the round took: a slow disk is not made slower.
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.config.settings import Settings
    from cri_shim.containerd.client import Client

log = structlog.get_logger(__name__)

_PLUGIN_TYPE = "io.containerd.snapshotter.v1"


@dataclass(frozen=True)
class Usage:
    """One snapshot's: bytes and inodes, and when they were counted, in nanoseconds since the epoch."""

    size: int
    inodes: int
    at: int
    active: bool


class SnapshotUsage:
    """The usage of every snapshot, by snapshotter and key."""

    def __init__(self, containerd: Client, settings: Settings) -> None:
        self._containerd = containerd
        self._settings = settings
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
        return self._usage.get(snapshotter, {}).get(key)

    def total(self, snapshotter: str) -> Usage:
        """The sum over a snapshotter, as old as its oldest part; zeros, as of now, before the first round."""
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
            begin = time.monotonic()
            try:
                await self._collect_all()
            except CriError as error:
                log.info("disk usage not measured this time", error=str(error))
            await anyio.sleep(max(self._settings.images.stats_collect_period, time.monotonic() - begin))

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
            active = info.kind == snapshots_pb2.ACTIVE
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
