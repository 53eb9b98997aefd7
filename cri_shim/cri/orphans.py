"""Leftovers that no record names: swept at the start, when nothing is under way."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from anyio import to_thread

from cri_shim.errors import CriError, NotFound
from cri_shim.linux.files import remove_tree

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts

log = structlog.get_logger(__name__)

_SNAPSHOT = re.compile(r"snapshots/(?P<snapshotter>.+)")
_ID = re.compile(r"[0-9a-f]{64}")


async def sweep(parts: Parts, keep: set[str]) -> None:
    """Remove directories, snapshots, FIFOs, mounts and leases that belong to no id in `keep`; failures are logged.

    Only names shaped like ids are touched, and only snapshots that a pod's lease holds: other tools' things are theirs.
    """
    paths = parts.paths
    for directory in (paths.root, paths.state):
        for kind in ("sandboxes", "containers", "image-volumes"):
            await _sweep_directory(os.path.join(directory, kind), keep)
    await _sweep_directory(os.path.join(paths.state, "mounts"), set(), any_name=True)
    for container in parts.containers:
        used = os.path.basename(os.path.dirname(container.io.stdout)) if container.io is not None else ""
        await _sweep_directory(os.path.join(paths.container_state(container.id), "io"), {used}, any_name=True)
    for sandbox in parts.sandboxes:
        await _sweep_snapshots(parts, sandbox.id, keep)
    try:
        await parts.containerd.leases.release_leftovers()
    except CriError as error:
        log.info("leases that were left can't be looked for", error=str(error))


async def _sweep_directory(directory: str, keep: set[str], *, any_name: bool = False) -> None:
    try:
        names = await to_thread.run_sync(os.listdir, directory)
    except FileNotFoundError:
        return
    for name in names:
        if name in keep or not (any_name or _ID.fullmatch(name)):
            continue
        log.info("removing a leftover", path=os.path.join(directory, name))
        try:
            await to_thread.run_sync(remove_tree, os.path.join(directory, name))
        except OSError as error:
            log.error("leftover can't be removed", path=os.path.join(directory, name), error=str(error))


async def _sweep_snapshots(parts: Parts, sandbox_id: str, keep: set[str]) -> None:
    """Remove writable layers that the pod's lease holds although their container never came to be."""
    try:
        for resource in await parts.containerd.leases.resources(sandbox_id):
            match = _SNAPSHOT.fullmatch(resource.type)
            if match is not None and _ID.fullmatch(resource.id) and resource.id not in keep:
                with suppress(NotFound):  # a lease may go on listing what has been removed
                    await parts.containerd.snapshots.remove(match["snapshotter"], resource.id, lease=sandbox_id)
                    log.info("leftover snapshot removed", key=resource.id)
    except CriError as error:
        log.info("the pod's lease can't be searched for leftovers", pod_sandbox_id=sandbox_id, error=str(error))
