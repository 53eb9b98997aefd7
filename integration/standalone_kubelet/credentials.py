"""Accounts for a registry, as a kubelet gets them: from a credential provider, a program that it runs.

Reference: KEP-2133, `kubelet.config.k8s.io/v1` CredentialProviderConfig, `credentialprovider.kubelet.k8s.io/v1`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from integration.harness.own_registry import PASSWORD, USER

if TYPE_CHECKING:
    from integration.harness.node import Node

HOST: Final = "own.test"
_CONFIG: Final = "/etc/kubernetes/credential-providers.json"
_PROGRAMS: Final = "/usr/local/libexec/credential-providers"
_NAME: Final = "own"
FLAGS: Final = (f"--image-credential-provider-config={_CONFIG}", f"--image-credential-provider-bin-dir={_PROGRAMS}")


def write(node: Node) -> None:
    """Write the provider, which knows the account for `HOST`, and the kubelet's configuration of it."""
    version = "credentialprovider.kubelet.k8s.io/v1"
    provider = {
        "name": _NAME,
        "apiVersion": version,
        "matchImages": [HOST],
        "defaultCacheDuration": "0s",
    }
    answer = {
        "kind": "CredentialProviderResponse",
        "apiVersion": version,
        "cacheKeyType": "Image",
        "auth": {HOST: {"username": USER, "password": PASSWORD}},
    }
    config = {"kind": "CredentialProviderConfig", "apiVersion": "kubelet.config.k8s.io/v1", "providers": [provider]}
    node.write(_CONFIG, json.dumps(config))
    node.write(f"{_PROGRAMS}/{_NAME}", f"#!/bin/sh\ncat >/dev/null\necho '{json.dumps(answer)}'\n", 0o755)
