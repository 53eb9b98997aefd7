"""Whose the files of a snapshot are: those of a pod with users of its own belong to them.

Most snapshotters map ids when they mount, and are told the mappings by labels. For one that can't, an image's files are
copied and given away once for each mapping; the copy, a parent of snapshots as the image itself, has the name that
containerd gives it, and lives as long as a snapshot stands on it.

Source: containerd `client/snapshotter_opts_unix.go` (`resolveSnapshotOptions`), `container_opts_unix.go`.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
import msgspec
from anyio import to_thread

from cri_shim.cri.container.accounts import linux_mounts
from cri_shim.cri.user_namespace import id_mappings
from cri_shim.errors import AlreadyExists, FailedPrecondition, NotFound
from cri_shim.linux.mounts import temporary
from cri_shim.linux.shift_owners import Owners, shift
from cri_shim.observe.timeline import step
from cri_shim.state.undo import CLEANUP_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cri_shim.api.containerd.types import mount_pb2
    from cri_shim.api.runtime import v1 as cri
    from cri_shim.cri.parts import Parts

_UID_LABEL: Final = "containerd.io/snapshot/uidmapping"
_GID_LABEL: Final = "containerd.io/snapshot/gidmapping"
_SNAPSHOTTER: Final = "io.containerd.snapshotter.v1"
_REMAPS: Final = "remap-ids"
_ONLY_REMAPS: Final = "only-remap-ids"  # would rather have none than a copy


@dataclass(frozen=True)
class Remapping:
    """What a snapshot is prepared on and with; `shifted` where its files' owners are other ones on disk."""

    parent: str
    labels: Mapping[str, str] = field(default_factory=dict)
    shifted: Owners | None = None


async def remapping(
    parts: Parts, snapshotter: str, parent: str, users: cri.UserNamespace | None, *, lease: str
) -> Remapping:
    """What has the files of a snapshot on `parent` belong to `users`, None for the node's.

    `lease` holds a copy until a snapshot stands on it. Raises FailedPrecondition where the files can't be theirs,
    NotFound for a parent that isn't there.
    """
    if users is None:
        return Remapping(parent)
    plugins = await parts.containerd.introspection.plugins(f"type=={_SNAPSHOTTER},id=={snapshotter}")
    able = {capability for plugin in plugins for capability in plugin.capabilities}
    if _REMAPS in able:
        return Remapping(parent, _labels(users))
    if _ONLY_REMAPS in able:
        raise FailedPrecondition(
            f"snapshotter {snapshotter!r} can't map the ids of a root file system on this node, which a pod with a "
            "user namespace needs: take Linux 5.19 or later, set the snapshotter's slow_chown, which has its "
            "files copied, or use userns_options.mode NODE"
        )
    owners = Owners(id_mappings(users.uids[:1]), id_mappings(users.gids[:1]))
    name = copy_name(parent, owners)
    await parts.flights.join(
        f"copy {name} in {snapshotter}", None, lambda: _copy(parts, snapshotter, parent, name, owners, lease)
    )
    return Remapping(name, _labels(users), owners)


def _labels(users: cri.UserNamespace) -> dict[str, str]:
    return {_UID_LABEL: _label(users.uids[0]), _GID_LABEL: _label(users.gids[0])}


def _label(mapping: cri.IdMapping) -> str:
    return f"{mapping.container_id}:{mapping.host_id}:{mapping.length}"


def copy_name(parent: str, owners: Owners) -> str:
    """The name that containerd gives a copy: the digest of what it is made of, as Go's JSON."""
    document = {
        "Parent": parent,
        "IDMap": {
            kind: [{"containerID": one.container_id, "hostID": one.host_id, "size": one.length} for one in mappings]
            for kind, mappings in (("UidMap", owners.uids), ("GidMap", owners.gids))
        },
    }
    return f"sha256:{hashlib.sha256(msgspec.json.encode(document)).hexdigest()}"


async def _copy(parts: Parts, snapshotter: str, parent: str, name: str, owners: Owners, lease: str) -> None:
    """Make the copy `name`, unless it is there."""
    snapshots, key = parts.containerd.snapshots, f"{name}-remap"
    with suppress(NotFound):
        await snapshots.stat(snapshotter, name)
        return
    with step("copy for the pod's users", lane="snapshot"):
        with suppress(NotFound):  # half of one, of somebody who was killed
            await snapshots.remove(snapshotter, key)
        mounts = await snapshots.prepare(snapshotter, key, parent, lease=lease)
        try:
            await to_thread.run_sync(_give_away, mounts, owners, os.path.join(parts.paths.state, "mounts"))
            with suppress(AlreadyExists):
                await snapshots.commit(snapshotter, name, key, lease=lease)
        except BaseException:
            with anyio.move_on_after(CLEANUP_SECONDS, shield=True), suppress(NotFound):
                await snapshots.remove(snapshotter, key)
            raise


def _give_away(mounts: Sequence[mount_pb2.Mount], owners: Owners, directory: str) -> None:
    os.makedirs(directory, 0o700, exist_ok=True)
    with temporary(linux_mounts(mounts), readonly=False, directory=directory) as root:
        shift(root, owners)
