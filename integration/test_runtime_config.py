"""Status and UpdateRuntimeConfig: what is in force, and the network that is made of the kubelet's pod CIDR."""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING

import pytest

from cri_shim.api.runtime import v1 as cri
from integration.harness.containerd import CNI_CONF_DIR, MAIN
from integration.kubelet import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet

pytestmark = pytest.mark.anyio

TEMPLATE = """{"cniVersion": "1.0.0", "name": "made", "plugins": [{"type": "ptp", "ipam": {"type": "host-local",
"ranges": [{{range $i, $range := .PodCIDRRanges}}{{if $i}}, {{end}}[{"subnet": "{{$range}}"}]{{end}}],
"routes": [{{range $i, $route := .Routes}}{{if $i}}, {{end}}{"dst": "{{$route}}"}{{end}}]}}]}"""
TEMPLATE_FILE = "/etc/cni/template.conflist"


@pytest.fixture
def unconfigured(running: RunningNode) -> Iterator[None]:
    """A node whose network is not configured, but for how it is to be made."""
    assert running.shim
    usual = running.node.path(f"{CNI_CONF_DIR}/10-bridge.conflist")
    configuration, network = running.node.path(MAIN.config), usual.read_text()
    before = configuration.read_text()
    running.node.write(TEMPLATE_FILE, TEMPLATE)
    running.node.write(MAIN.config, before.replace("bin_dirs =", f"conf_template = '{TEMPLATE_FILE}'\n    bin_dirs ="))
    usual.unlink()
    running.shim.daemon.restart()
    yield
    for path in running.node.path(CNI_CONF_DIR).iterdir():
        path.unlink()
    usual.write_text(network)
    running.node.write(MAIN.config, before)
    running.shim.daemon.restart()


async def ready(kubelet: Kubelet) -> bool:
    answer = await kubelet.runtime.status(cri.StatusRequest())
    assert answer.status
    (condition,) = (one for one in answer.status.conditions if one.type == "NetworkReady")
    return condition.status


async def tell(kubelet: Kubelet, pod_cidr: str) -> None:
    config = cri.RuntimeConfig(network_config=cri.NetworkConfig(pod_cidr=pod_cidr))
    await kubelet.runtime.update_runtime_config(cri.UpdateRuntimeConfigRequest(runtime_config=config))


@pytest.mark.shim_only  # the peer of the node is configured without a template
async def test_a_node_gets_its_network_from_the_pod_cidr(unconfigured: None, kubelet: Kubelet) -> None:  # noqa: ARG001
    assert not await ready(kubelet)
    await tell(kubelet, "10.77.3.0/24")

    async def network_is_ready() -> bool | None:
        return await ready(kubelet) or None

    await eventually(network_is_ready)
    status = (await kubelet.pod_status(await kubelet.run_pod())).status
    assert status
    assert status.network
    assert ipaddress.ip_address(status.network.ip) in ipaddress.ip_network("10.77.3.0/24")
    await tell(kubelet, "10.78.0.0/24")  # it has a network: nothing changes
    assert await ready(kubelet)
    await kubelet.remove_all()


async def test_the_status_shows_what_is_in_force(kubelet: Kubelet) -> None:
    answer = await kubelet.runtime.status(cri.StatusRequest(verbose=True))
    assert answer.status
    assert [(one.type, one.status) for one in answer.status.conditions] == [
        ("RuntimeReady", True),
        ("NetworkReady", True),
        ("ContainerdHasNoDeprecationWarnings", True),
    ]
    assert answer.info["lastCNILoadStatus"] == answer.info["lastCNILoadStatus.default"] == "OK"
    config, network = json.loads(answer.info["config"]), json.loads(answer.info["cniconfig"])
    runtimes = config["containerd"]["runtimes"]
    assert (config["containerd"]["defaultRuntimeName"], set(runtimes)) == ("runc", {"runc", "crun"})
    assert runtimes["crun"]["runtimeType"] == "io.containerd.runc.v2"
    assert runtimes["crun"]["options"]["BinaryName"] == "/usr/bin/crun"
    assert config["cni"]["confDir"] == network["PluginConfDir"] == CNI_CONF_DIR
    assert config["containerdEndpoint"].endswith("/containerd.sock")
    assert "bridge" in [one["Config"]["Name"] for one in network["Networks"]]
