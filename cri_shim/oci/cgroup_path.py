"""Where a container's cgroup is. cAdvisor finds containers by the last component of these names.

Source: containerd `internal/cri/server/podsandbox/helpers_linux.go` (`getCgroupsPath`).
"""

from __future__ import annotations

import posixpath

from cri_shim.oci.paths import join

CGROUP_ROOT = "/k8s.io"
_PREFIX = "cri-containerd"


def cgroups_path(parent: str, container_id: str) -> str:
    """`slice:prefix:name` for a systemd slice, a plain path for anything else; the default root without a parent."""
    if not parent:
        return join(CGROUP_ROOT, container_id)
    last = posixpath.basename(parent.rstrip("/"))
    if last.endswith(".slice"):
        return f"{last}:{_PREFIX}:{container_id}"
    return join(parent, container_id)
