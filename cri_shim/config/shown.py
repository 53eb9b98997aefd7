"""The runtime settings as containerd's CRI plugin shows them in its verbose status: JSON, under Go's names for it.

Tools read it there (`crictl info`), for instance which runtimes there are and where the CNI configuration is.
Source: the `json` tags of containerd `internal/cri/config/config.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cri_shim.config.writer import tree

if TYPE_CHECKING:
    from cri_shim.config.settings import Settings

# Where the name is not the TOML key in camel case.
_NAMES = {
    "cdi_spec_dirs": "cdiSpecDirs",
    "container_annotations": "ContainerAnnotations",
    "device_ownership_from_security_context": "device_ownership_from_security_context",
    "drain_exec_sync_io_timeout": "drainExecSyncIOTimeout",
    "enable_cdi": "enableCDI",
    "enable_unprivileged_icmp": "enableUnprivilegedICMP",
    "ignore_blockio_not_enabled_errors": "ignoreBlockIONotEnabledErrors",
    "io_type": "io_type",
    "pod_annotations": "PodAnnotations",
    "privileged_without_host_devices": "privileged_without_host_devices",
    "privileged_without_host_devices_all_devices_allowed": "privileged_without_host_devices_all_devices_allowed",
    "restrict_oom_score_adj": "restrictOOMScoreAdj",
}


def shown(settings: Settings) -> dict[str, object]:
    """The settings in force, and the directories that go with them."""
    found = _renamed(tree(settings.runtime))
    return {
        **found,
        "sandboxImage": settings.images.pinned_images.get("sandbox", ""),
        "containerdRootDir": settings.containerd.root,
        "containerdEndpoint": settings.containerd.address,
        "rootDir": settings.cri_root,
        "stateDir": settings.cri_state,
    }


def _renamed(table: Mapping[str, object]) -> dict[str, object]:
    return {_NAMES.get(key) or _camel(key): _value(key, value) for key, value in table.items()}


def _value(key: str, value: object) -> object:
    if not isinstance(value, Mapping) or key == "options":  # whose keys are the runtime's own
        return value
    if key == "runtimes":
        return {name: _renamed(handler) for name, handler in value.items()}
    return _renamed(value)


def _camel(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join(word.capitalize() for word in others)
