"""Which directory of `config_path` tells containerd how to reach a registry.

The Transfer service takes one directory, the setting may list several: the first that has an entry for the host is it.
Source: containerd `core/remotes/docker/config/hosts.go` (`HostDirFromRoot`).
"""

from __future__ import annotations

import os


def host_directory(config_path: str, host: str) -> str:
    """The directory whose `hosts.toml` tree speaks of `host`, "" for none. Blocks for a few stat calls."""
    for directory in filter(None, config_path.split(":")):
        if any(os.path.isdir(os.path.join(directory, name)) for name in _names(host)):
            return directory
    return ""


def _names(host: str) -> list[str]:
    name, colon, port = host.rpartition(":")
    with_port = [f"{name}_{port}_"] if colon and port.isdecimal() else []
    return [*with_port, host, "_default"]
