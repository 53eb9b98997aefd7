"""How containerd is told to reach a registry: the `hosts.toml` trees of `config_path`.

The Transfer service takes one directory, the setting may list several: the first that has an entry for the host is it.
Files are read for each pull, so that a change needs no restart.
Source: containerd `core/remotes/docker/config/hosts.go` (`HostDirFromRoot`, `ConfigureHosts`), `docs/hosts.md`.
"""

from __future__ import annotations

import os
import tomllib
from contextlib import suppress

_DOCKER, _DOCKER_SERVER = "docker.io", "registry-1.docker.io"
_FILE = "hosts.toml"


def host_directory(config_path: str, host: str) -> str:
    """The directory whose `hosts.toml` tree speaks of `host`, "" for none. Blocks for a few stat calls."""
    for directory in filter(None, config_path.split(":")):
        if any(os.path.isdir(os.path.join(directory, name)) for name in _names(host)):
            return directory
    return ""


def servers(directory: str, host: str) -> list[str]:
    """The servers that are asked for an image of `host`, in order, for a message. Blocks while it reads a file."""
    default = default_server(host)
    for name in _names(host):
        with suppress(OSError, tomllib.TOMLDecodeError), open(os.path.join(directory, name, _FILE), "rb") as file:
            found = tomllib.load(file)
            hosts, server = found.get("host"), found.get("server", default)
            return list(dict.fromkeys([*(hosts if isinstance(hosts, dict) else ()), str(server)]))
    return [default]


def default_server(host: str) -> str:
    """The server of a registry's images for which nothing else is said."""
    return f"https://{_DOCKER_SERVER if host == _DOCKER else host}"


def _names(host: str) -> list[str]:
    name, colon, port = host.rpartition(":")
    with_port = [f"{name}_{port}_"] if colon and port.isdecimal() else []
    return [*with_port, host, "_default"]
