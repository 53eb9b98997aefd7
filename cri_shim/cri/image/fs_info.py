"""ImageFsInfo: what the kubelet's image garbage collection goes by.

Containers' writable layers are snapshots like those of images, so that both are on one file system: the kubelet sees
that by their mount points. containerd's plugin leaves the containers' out.
Source: Kubernetes enhancement 4191, `pkg/kubelet/kuberuntime/kuberuntime_gc.go` (`IsContainerFsSeparateFromImageFs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri

if TYPE_CHECKING:
    from cri_shim.cri.image.usage import SnapshotUsage, Usage
    from cri_shim.cri.parts import Parts


def image_fs_info(parts: Parts) -> cri.ImageFsInfoResponse:
    """The usage of each snapshotter: of all that it holds, and of writable layers alone; as of the last measurement.

    The default snapshotter is the first.
    """
    usage = parts.snapshot_usage
    return cri.ImageFsInfoResponse(
        image_filesystems=[_filesystem(usage, name, usage.total(name)) for name in usage.snapshotters],
        container_filesystems=[_filesystem(usage, name, usage.writable(name)) for name in usage.snapshotters],
    )


def _filesystem(usage: SnapshotUsage, snapshotter: str, used: Usage) -> cri.FilesystemUsage:
    return cri.FilesystemUsage(
        timestamp=used.at,
        fs_id=cri.FilesystemIdentifier(mountpoint=usage.root(snapshotter)),
        used_bytes=cri.UInt64Value(value=used.size),
        inodes_used=cri.UInt64Value(value=used.inodes),
    )
