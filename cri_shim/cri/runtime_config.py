"""RuntimeConfig: which cgroup driver the kubelet must use, so that both make the same cgroups.

Source: containerd `internal/cri/server/runtime_config_linux.go`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.handler import RUNC_V2

if TYPE_CHECKING:
    from cri_shim.config.settings import Settings
    from cri_shim.cri.parts import Parts

SYSTEMD_DIRECTORY = "/run/systemd/system"


def runtime_config(parts: Parts) -> cri.RuntimeConfigResponse:
    """The cgroup driver that the handlers are configured for."""
    return cri.RuntimeConfigResponse(
        linux=cri.LinuxRuntimeConfiguration(
            cgroup_driver=cgroup_driver(parts.settings, systemd_runs=os.path.isdir(SYSTEMD_DIRECTORY))
        )
    )


def cgroup_driver(settings: Settings, *, systemd_runs: bool) -> cri.CgroupDriver:
    """The driver of the first handler by runc, the default one before the others by name; else what the node runs."""
    containerd = settings.runtime.containerd
    names = sorted(containerd.runtimes, key=lambda name: (name != containerd.default_runtime_name, name))
    for name in names:
        handler = containerd.runtimes[name]
        if handler.runtime_type == RUNC_V2:
            options = {key.lower(): value for key, value in (handler.options or {}).items()}
            return cri.CgroupDriver.SYSTEMD if options.get("systemdcgroup") else cri.CgroupDriver.CGROUPFS
    return cri.CgroupDriver.SYSTEMD if systemd_runs else cri.CgroupDriver.CGROUPFS
