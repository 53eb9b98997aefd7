"""Whether a containerd can be worked with: a pure question about its version and its plugins."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cri_shim.errors import FailedPrecondition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cri_shim.api.containerd.services.introspection.v1.introspection_pb2 import Plugin

# 1.7 ignores hosts.toml in its Transfer service and has no sandbox store that a CRI plugin shares.
OLDEST = (2, 0)

SERVICES = (
    "containers",
    "content",
    "diff",
    "events",
    "images",
    "leases",
    "sandboxes",
    "snapshots",
    "streaming",
    "tasks",
    "transfer",
)
_SERVICE_TYPE = "io.containerd.grpc.v1"

# What a service stands on: it may be registered and yet have nothing behind it.
PLUGINS = (
    ("io.containerd.runtime.v2", "task"),
    ("io.containerd.sandbox.store.v1", "local"),
    ("io.containerd.streaming.v1", "manager"),
    ("io.containerd.transfer.v1", "local"),
)

_VERSION = re.compile(r"v?(\d+)\.(\d+)")


def check(address: str, version: str, plugins: Iterable[Plugin]) -> None:
    """Do nothing when the containerd at `address` will do; FailedPrecondition with its version and every reason.

    A version that can't be read, as of a build from a branch, is taken for new enough: its plugins decide.
    """
    reasons = _too_old(version) or _lacking({(plugin.type, plugin.id): plugin for plugin in plugins})
    if reasons:
        raise FailedPrecondition(f"containerd {version} at {address} can't be used: {'; '.join(reasons)}")


def _too_old(version: str) -> list[str]:
    found = _VERSION.match(version)
    if found is None or (int(found[1]), int(found[2])) >= OLDEST:
        return []
    return [f"cri-shim needs containerd {OLDEST[0]}.{OLDEST[1]} or newer: upgrade containerd"]


def _lacking(plugins: dict[tuple[str, str], Plugin]) -> list[str]:
    wanted = [(_SERVICE_TYPE, service) for service in SERVICES] + list(PLUGINS)
    return [reason for key in wanted if (reason := _reason(".".join(key), plugins.get(key)))]


def _reason(name: str, plugin: Plugin | None) -> str | None:
    if plugin is None:
        return f"its plugin {name} is missing: take it out of disabled_plugins in containerd's configuration"
    if plugin.HasField("init_err"):
        return f"its plugin {name} failed to start: {plugin.init_err.message}"
    return None
