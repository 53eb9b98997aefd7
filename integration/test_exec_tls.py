"""Exec and port-forward over TLS: all that clients speak, inside of it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from cri_shim.api.runtime import v1 as cri
from integration.exec_sessions import SPDY, WEBSOCKET, Spoken, carries_commands
from integration.harness.assembly import RunningNode, running_node
from integration.harness.containerd import Changes, Containerd
from integration.harness.node import Bind
from integration.streaming_client.spdy import spdy_ports
from integration.streaming_client.websocket import tunnelled_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration.kubelet import Kubelet

INSIDE = "/etc/streaming"

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("streaming")]


@pytest.fixture(scope="module")
def running(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node whose streaming server shows a certificate."""
    directory = tmp_path_factory.mktemp("tls")
    made = ["-subj", "/CN=node.test", "-days", "2", "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *made],
        cwd=directory,
        check=True,
        capture_output=True,
    )
    changes = Changes(
        more=f"""
[plugins.'io.containerd.grpc.v1.cri']
  enable_tls_streaming = true
  [plugins.'io.containerd.grpc.v1.cri'.x509_key_pair_streaming]
    tls_cert_file = '{INSIDE}/certificate.pem'
    tls_key_file = '{INSIDE}/key.pem'
"""
    )
    binds = [Bind(str(directory), INSIDE)]
    with running_node(shim=endpoint == "shim", peer=endpoint != "shim", changes=changes, binds=binds) as node:
        yield node


@pytest.fixture(scope="module")
def containerd(running: RunningNode) -> Containerd:
    return running.peer or running.containerd


async def test_commands_are_carried_inside_of_tls(kubelet: Kubelet, endpoint: str) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    request = cri.ExecRequest(container_id=container, cmd=["true"], stdout=True)
    assert (await kubelet.runtime.exec(request)).url.startswith("https://")
    both: tuple[Spoken, ...] = (SPDY[0], WEBSOCKET[0]) if endpoint == "shim" else SPDY[:1]
    for spoken in both:
        await carries_commands(kubelet, container, spoken)


async def test_ports_are_forwarded_inside_of_tls(kubelet: Kubelet, endpoint: str) -> None:
    pod = await kubelet.run_pod()
    script = "while :; do echo -n hello | nc -l -p 8080; done"
    await kubelet.run(pod, kubelet.container_config(["sh", "-c", script]))
    for forwarded in (spdy_ports, tunnelled_ports) if endpoint == "shim" else (spdy_ports,):
        url = (await kubelet.runtime.port_forward(cri.PortForwardRequest(pod_sandbox_id=pod.id, port=[8080]))).url
        async with forwarded(url) as session:
            connection = await session.connect(8080)
            assert await connection.receive() == b"hello"
