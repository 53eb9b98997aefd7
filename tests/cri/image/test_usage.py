"""Disk usage: what can't change is measured once, the rest when somebody is about to ask."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from cri_shim.api.containerd.services.snapshots.v1 import snapshots_pb2 as pb
from cri_shim.config import default
from cri_shim.cri.image.usage import SnapshotUsage

pytestmark = pytest.mark.anyio


@dataclass
class Snapshots:
    """containerd's, which counts what it is asked for."""

    kinds: dict[str, int]
    measured: list[str] = field(default_factory=list)

    async def list(self, snapshotter: str) -> list[pb.Info]:  # noqa: ARG002
        return [pb.Info(name=name, kind=kind) for name, kind in self.kinds.items()]  # type: ignore[arg-type]

    async def usage(self, snapshotter: str, key: str) -> Any:  # noqa: ARG002
        self.measured.append(key)
        return SimpleNamespace(size=len(self.measured), inodes=1)


async def plugins(*filters: str) -> list[Any]:  # noqa: ARG001
    return []


@pytest.fixture
def snapshots():
    return Snapshots({"layer": pb.COMMITTED, "container": pb.ACTIVE, "sandbox": pb.ACTIVE})


@pytest.fixture
def usage(snapshots):
    settings = default()
    settings = replace(settings, images=replace(settings.images, stats_collect_period=0.02))
    containerd = SimpleNamespace(snapshots=snapshots, introspection=SimpleNamespace(plugins=plugins))
    return SnapshotUsage(cast("Any", containerd), settings, {"sandbox"})


async def test_what_can_not_change_is_measured_once(usage, snapshots):
    for _ in range(3):
        await usage._collect_all()
    assert sorted(snapshots.measured) == ["container", "container", "container", "layer", "sandbox"]
    assert usage.of("overlayfs", "container").size > usage.of("overlayfs", "sandbox").size
    assert usage.total("overlayfs").inodes == 3


async def test_whoever_asks_after_a_long_silence_has_it_measured_anew(usage, snapshots):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(usage.collect)
        await anyio.sleep(0.2)
        assert snapshots.measured.count("container") == 1  # nobody has asked
        first = usage.of("overlayfs", "container").size
        with anyio.fail_after(5):  # far less than the rest
            while usage.of("overlayfs", "container").size == first:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
