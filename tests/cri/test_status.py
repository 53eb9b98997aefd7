"""Status: its conditions, and their reasons."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.cni.readiness import NetworkStatus
from cri_shim.config import default
from cri_shim.cri.status import status
from cri_shim.events.monitor import ContainerdHealth


class Network:
    last_load = "OK"

    def __init__(self) -> None:
        self.now = NetworkStatus(ready=True)

    def status(self) -> NetworkStatus:
        return self.now

    def describe(self) -> dict[str, object]:
        return {}


@pytest.fixture
def parts():
    network = Network()
    return cast(
        "Any",
        SimpleNamespace(
            settings=default(),
            health=ContainerdHealth(problem=None),
            networks={"": network},
            network=lambda handler: network,  # noqa: ARG005
            runtime_handlers=[],
            pulls=SimpleNamespace(under_way=list),
        ),
    )


def conditions(parts):
    answer = status(parts, cri.StatusRequest())
    return {one.type: one for one in answer.status.conditions}


def test_a_node_that_is_well_says_so(parts):
    assert all(one.status and not one.reason for one in conditions(parts).values())
    assert len(conditions(parts)) == 3


def test_a_containerd_that_is_gone_is_the_runtimes_reason(parts):
    parts.health.problem = "containerd at /run/x can't be reached"
    found = conditions(parts)["RuntimeReady"]
    assert (found.status, found.reason, found.message) == (False, "ContainerdNotReachable", parts.health.problem)


def test_a_network_that_is_missing_is_the_networks_reason(parts):
    parts.networks[""].now = NetworkStatus(ready=False, message="no network configuration in /etc/cni/net.d")
    found = conditions(parts)["NetworkReady"]
    assert (found.status, found.reason) == (False, "NetworkPluginNotReady")
    assert found.message == "Network plugin returns error: no network configuration in /etc/cni/net.d"


def test_what_containerd_will_remove_is_told_unless_it_is_to_be_ignored(parts):
    parts.health.deprecations = {"io.containerd.deprecation/one": "use two", "io.containerd.deprecation/other": "x"}
    runtime = replace(parts.settings.runtime, ignore_deprecation_warnings=("io.containerd.deprecation/other",))
    parts.settings = replace(parts.settings, runtime=runtime)
    found = conditions(parts)["ContainerdHasNoDeprecationWarnings"]
    assert (found.status, found.reason) == (False, "ContainerdHasDeprecationWarnings")
    assert json.loads(found.message) == {"io.containerd.deprecation/one": "use two"}


def test_a_verbose_one_shows_the_configuration_and_the_last_load(parts):
    info = status(parts, cri.StatusRequest(verbose=True)).info
    assert json.loads(info["config"])["containerd"]["defaultRuntimeName"] == "runc"
    assert info["lastCNILoadStatus"] == info["lastCNILoadStatus.default"] == "OK"
