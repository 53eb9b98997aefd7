"""Status: is the runtime ready, is the network, and if not, why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cri_shim import __version__
from cri_shim.api.runtime import v1 as cri
from cri_shim.config.shown import shown

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts

RUNTIME_NOT_READY = "ContainerdNotReachable"
DEPRECATIONS = "ContainerdHasDeprecationWarnings"
NETWORK_NOT_READY = "NetworkPluginNotReady"


def status(parts: Parts, request: cri.StatusRequest) -> cri.StatusResponse:
    """The conditions that the kubelet judges the node by; a verbose one with the configuration in force."""
    return cri.StatusResponse(
        status=cri.RuntimeStatus(conditions=[_runtime_ready(parts), _network_ready(parts), _no_deprecations(parts)]),
        info=_info(parts) if request.verbose else {},
        runtime_handlers=parts.runtime_handlers,
        features=cri.RuntimeFeatures(
            supplemental_groups_policy=True, user_namespaces_host_network=True, mount_options=True
        ),
    )


def _runtime_ready(parts: Parts) -> cri.RuntimeCondition:
    problem = parts.health.problem
    if problem is None:
        return cri.RuntimeCondition(type="RuntimeReady", status=True)
    return cri.RuntimeCondition(type="RuntimeReady", status=False, reason=RUNTIME_NOT_READY, message=problem)


def _network_ready(parts: Parts) -> cri.RuntimeCondition:
    network = parts.network(parts.settings.runtime.containerd.default_runtime_name).status()
    if network.ready:
        return cri.RuntimeCondition(type="NetworkReady", status=True)
    return cri.RuntimeCondition(
        type="NetworkReady",
        status=False,
        reason=NETWORK_NOT_READY,
        message=f"Network plugin returns error: {network.message}",
    )


def _no_deprecations(parts: Parts) -> cri.RuntimeCondition:
    """What containerd itself says will be removed from it, and this node's configuration or images still use."""
    kind, ignored = "ContainerdHasNoDeprecationWarnings", parts.settings.runtime.ignore_deprecation_warnings
    found = {name: text for name, text in parts.health.deprecations.items() if name not in ignored}
    if not found:
        return cri.RuntimeCondition(type=kind, status=True)
    message = msgspec.json.encode(found, order="sorted").decode()
    return cri.RuntimeCondition(type=kind, status=False, reason=DEPRECATIONS, message=message)


def _info(parts: Parts) -> dict[str, str]:
    found = {
        "config": msgspec.json.encode(shown(parts.settings)).decode(),
        "cniconfig": msgspec.json.encode(parts.networks[""].describe()).decode(),
        "pulls": msgspec.json.encode(parts.pulls.under_way()).decode(),
        "lastCNILoadStatus": parts.networks[""].last_load,
        "criShim": msgspec.json.encode({"version": __version__}).decode(),
    }
    for handler, network in parts.networks.items():
        found[f"lastCNILoadStatus.{handler or 'default'}"] = network.last_load
    return found
