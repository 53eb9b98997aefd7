"""ImageFsInfo: what the kubelet's image garbage collection goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts


def image_fs_info(parts: Parts) -> cri.ImageFsInfoResponse:
    """The usage of each snapshotter's file system, the default one first; as of the last measurement."""
    usage = parts.snapshot_usage
    return cri.ImageFsInfoResponse(
        image_filesystems=[_filesystem(parts, snapshotter) for snapshotter in usage.snapshotters]
    )


def _filesystem(parts: Parts, snapshotter: str) -> cri.FilesystemUsage:
    total = parts.snapshot_usage.total(snapshotter)
    return cri.FilesystemUsage(
        timestamp=total.at,
        fs_id=cri.FilesystemIdentifier(mountpoint=parts.snapshot_usage.root(snapshotter)),
        used_bytes=cri.UInt64Value(value=total.size),
        inodes_used=cri.UInt64Value(value=total.inodes),
    )
