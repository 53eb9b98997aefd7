"""The deprecated `registry.mirrors` and `registry.configs`, as the `hosts.toml` tree that means the same.

The Transfer service knows trees alone, so one is written beside our state, for as long as the settings are there.
Source: containerd `internal/cri/server/images/image_pull.go` (`registryHosts`, `registryEndpoints`), `docs/hosts.md`.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cri_shim.cri.image.hosts import default_server
from cri_shim.linux.files import remove_tree

if TYPE_CHECKING:
    from cri_shim.config.image_settings import RegistrySettings, RegistryTls

_ANY, _ANY_DIRECTORY = "*", "_default"
_PULL = 'capabilities = ["pull", "resolve"]'


def hosts_files(registry: RegistrySettings) -> dict[str, str]:
    """The text of each host's `hosts.toml`, by the name of its directory; none without the deprecated settings."""
    hosts = dict.fromkeys([*registry.mirrors, *(host for host, one in registry.configs.items() if _tls(one.tls))])
    return {_ANY_DIRECTORY if host == _ANY else host: _text(registry, host) for host in hosts}


def write_hosts(directory: str, registry: RegistrySettings) -> None:
    """Have `directory` be the tree; without the deprecated settings it is removed. Blocks; raises `OSError`."""
    remove_tree(directory)
    for host, text in hosts_files(registry).items():
        place = os.path.join(directory, host)
        os.makedirs(place, mode=0o700)
        with open(os.path.join(place, "hosts.toml"), "w", encoding="utf-8") as file:
            file.write(text)


def _text(registry: RegistrySettings, host: str) -> str:
    """The endpoints in their order, the host itself last; what TLS asks for goes with each server."""
    lines = [] if host == _ANY else [f"server = {json.dumps(default_server(host))}", *_tls_of(registry, host)]
    mirror = registry.mirrors.get(host)
    for endpoint in mirror.endpoint if mirror else ():
        url = urlsplit(endpoint)
        lines += [f"[host.{json.dumps(endpoint)}]", _PULL, *_tls_of(registry, url.netloc)]
        if url.path.strip("/"):
            lines.append("override_path = true")  # an endpoint's path is the whole path of the API
    return "\n".join(lines) + "\n"


def _tls_of(registry: RegistrySettings, host: str) -> list[str]:
    config = registry.configs.get(host)
    return _tls(config.tls) if config else []


def _tls(tls: RegistryTls) -> list[str]:
    found = []
    if tls.insecure_skip_verify:
        found.append("skip_verify = true")
    if tls.ca_file:
        found.append(f"ca = {json.dumps(tls.ca_file)}")
    if tls.cert_file:
        found.append(f"client = {json.dumps([[tls.cert_file, tls.key_file]])}")
    return found
