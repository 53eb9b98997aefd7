"""The node's registry: Debian's docker-registry on loopback, over the storage that the images' layer brings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from integration.harness.daemon import Daemon
from integration.images import build, registry_storage
from integration.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration.harness.node import Node
    from integration.images.content import Image

SMOKE_PORT: Final = 5099  # of `cri-shim smoke`'s own registry, which the node's mirrors don't stand in for
_CONFIG: Final = "/etc/registry.yml"


class Registry:
    """The registry of one node: `daemon` starts and stops it."""

    def __init__(self, node: Node) -> None:
        self.node = node
        node.write(f"{build.CERTS_D}/127.0.0.1:{SMOKE_PORT}/hosts.toml", "")
        # JSON is YAML.
        node.write(
            _CONFIG,
            json.dumps(
                {
                    "version": "0.1",
                    "log": {"level": "warn", "accesslog": {"disabled": True}},
                    "http": {"addr": build.REGISTRY},
                    "storage": {"filesystem": {"rootdirectory": build.STORAGE}, "delete": {"enabled": True}},
                }
            ),
        )
        self.daemon = Daemon(node, ["docker-registry", "serve", _CONFIG], "/var/log/registry.log", self._answers)

    def publish(self, images: Sequence[Image]) -> dict[str, str]:
        """Add images while it runs; returns the digest of each of their names."""
        store = Store(images)
        registry_storage.write(self.node.path(build.STORAGE), store)
        return store.tags

    def _answers(self) -> bool:
        host, port = build.REGISTRY.rsplit(":", 1)
        try:
            self.node.connect(int(port), host).close()
        except ConnectionRefusedError:
            return False
        return True
