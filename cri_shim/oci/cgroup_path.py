"""Where a container's cgroup is. cAdvisor finds containers by the last component of these names.

Source: containerd `internal/cri/server/podsandbox/helpers.go` (`getCgroupsPath`).
"""

from __future__ import annotations

import posixpath

from cri_shim.oci.defaults import CGROUP_ROOT

_PREFIX = "cri-containerd"


def cgroups_path(parent: str, container_id: str) -> str:
    """`slice:prefix:name` for a systemd slice, a plain path for anything else; the default root without a parent."""
    if not parent:
        return f"{CGROUP_ROOT}/{container_id}"
    last = posixpath.basename(parent.rstrip("/"))
    if last.endswith(".slice"):
        return f"{last}:{_PREFIX}:{container_id}"
    return posixpath.join(parent, container_id)
