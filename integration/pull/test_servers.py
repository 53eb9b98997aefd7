"""Mirrors and certificates, as `hosts.toml` has them."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from integration.harness.own_registry import OwnRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from integration.harness.assembly import RunningNode
    from integration.images.store import Store
    from integration.kubelet import Kubelet

from integration.pull.pulls import HOST, IMAGE, PORT, lead, pull, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


async def test_the_next_server_is_asked_when_one_is_away(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    lead(pulling, "http://127.0.0.1:1", registry.url)
    await pull(client)


@pytest.mark.shim_only
async def test_all_servers_that_are_away_are_named_in_order(client: Kubelet, pulling: RunningNode) -> None:
    """Improvement: containerd names the last one."""
    lead(pulling, "http://127.0.0.1:1", "http://127.0.0.1:2")
    message = (await refusal(client)).message or ""
    assert message.startswith("RegistryUnavailable: ")
    assert "http://127.0.0.1:1, http://127.0.0.1:2" in message


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and its certificate for 127.0.0.1, signed by nobody else."""
    path = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=own.test", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["-keyout", "key", "-out", "certificate", "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *names, *made],
        cwd=path,
        check=True,
        capture_output=True,
    )
    (path / "both").write_text((path / "key").read_text() + (path / "certificate").read_text())
    return path / "both"


async def test_a_private_ca_is_believed_when_it_is_named(
    client: Kubelet, pulling: RunningNode, store: Store, certificate: Path
) -> None:
    pulling.node.write("/etc/own-ca.pem", (certificate.parent / "certificate").read_text())
    with OwnRegistry(pulling.node, PORT, HOST, store, certificate=certificate) as registry:
        lead(pulling, registry.url)
        assert "x509" in ((await refusal(client)).message or "")
        lead(pulling, registry.url, more='ca = "/etc/own-ca.pem"')
        await pull(client)
        await client.remove_image(IMAGE)
        lead(pulling, registry.url, more="skip_verify = true")
        await pull(client)


async def test_a_client_certificate_is_shown_where_one_is_named(
    client: Kubelet, pulling: RunningNode, store: Store, certificate: Path
) -> None:
    ca = certificate.parent / "certificate"
    pulling.node.write("/etc/own-ca.pem", ca.read_text())
    pulling.node.write("/etc/own-client.pem", (certificate.parent / "both").read_text())
    with OwnRegistry(pulling.node, PORT, HOST, store, certificate=certificate, client_ca=ca) as registry:
        lead(pulling, registry.url, more='ca = "/etc/own-ca.pem"')
        refused = (await refusal(client)).message or ""
        assert re.search(r"tls: |connection reset|broken pipe", refused)  # it may still be writing when it is refused
        lead(pulling, registry.url, more='ca = "/etc/own-ca.pem"\nclient = "/etc/own-client.pem"')
        await pull(client)


async def test_a_server_is_asked_below_its_own_path_and_with_its_own_headers(
    client: Kubelet, pulling: RunningNode, store: Store
) -> None:
    with OwnRegistry(pulling.node, PORT, HOST, store, under="/mirror/of") as registry:
        url = f"{registry.url}/mirror/of/v2"
        lead(pulling, url, more=f'override_path = true\n[host."{url}".header]\nX-Site = "here"')
        await pull(client)
    assert {request.site for request in registry.requests} == {"here"}
    assert {request.path.partition("/v2/")[0] for request in registry.requests} == {"/mirror/of"}
