"""Accounts, and who is told of them."""

from __future__ import annotations

import base64
import os
import signal
from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError
from grpclib.const import Status

from cri_shim.api.runtime import v1 as cri
from integration.harness.containerd import MAIN
from integration.harness.own_registry import PASSWORD, REFRESH, USER, OwnRegistry
from integration.kubelet import eventually
from integration.pull.pulls import ACCOUNT, lead, pull, refusal

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


ENCODED = cri.AuthConfig(auth=base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
IDENTITY = cri.AuthConfig(identity_token=REFRESH)


@pytest.mark.parametrize(
    ("scheme", "auth"),
    [
        pytest.param("basic", ACCOUNT, id="name and password, basic"),
        pytest.param("basic", ENCODED, id="encoded, basic"),
        pytest.param("token", ACCOUNT, id="name and password, token server"),
        pytest.param("token", ENCODED, id="encoded, token server"),
        pytest.param("token", IDENTITY, id="identity token"),
    ],
)
async def test_credentials_open_a_registry(
    client: Kubelet, registry: OwnRegistry, scheme: str, auth: cri.AuthConfig
) -> None:
    registry.auth = scheme
    await pull(client, auth=auth)


@pytest.mark.shim_only
async def test_a_registry_token_opens_its_registry(client: Kubelet, registry: OwnRegistry) -> None:
    """Improvement: containerd's own CRI doesn't pass it on."""
    registry.auth = "token"
    registry.tokens.add("a-token")
    await pull(client, auth=cri.AuthConfig(registry_token="a-token"))


@pytest.mark.shim_only
async def test_a_registry_token_is_told_to_nobody_else(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    lead(pulling, "http://127.0.0.1:1", registry.url)
    error = await refusal(client, auth=cri.AuthConfig(registry_token="a-token"))
    assert error.status is Status.FAILED_PRECONDITION
    assert "a-token" not in (error.message or "")
    assert registry.requests == []


@pytest.mark.parametrize("scheme", ["basic", "token"])
async def test_a_secret_for_another_server_is_not_told(client: Kubelet, registry: OwnRegistry, scheme: str) -> None:
    registry.auth = scheme
    elsewhere = cri.AuthConfig(username=USER, password=PASSWORD, server_address="https://elsewhere.test")
    await refusal(client, auth=elsewhere)
    assert {request.authorization for request in registry.requests} == {""}


@pytest.mark.parametrize("scheme", ["basic", "token"])
async def test_wrong_credentials_are_refused_and_never_written_down(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode, scheme: str
) -> None:
    registry.auth = scheme
    error = await refusal(client, auth=cri.AuthConfig(username=USER, password="open-sesame"))
    said = (error.message or "") + "".join(pulling.logs().values())
    assert "open-sesame" not in said
    assert base64.b64encode(f"{USER}:open-sesame".encode()).decode() not in said


@pytest.mark.shim_only
@pytest.mark.parametrize("scheme", ["basic", "token"])
async def test_who_is_refused_is_told_what_was_given(client: Kubelet, registry: OwnRegistry, scheme: str) -> None:
    """Improvement: containerd answers Unknown, and doesn't tell."""
    registry.auth = scheme
    error = await refusal(client)
    assert error.status is Status.UNAUTHENTICATED
    assert "no credentials were given" in (error.message or "")
    error = await refusal(client, auth=cri.AuthConfig(username=USER, password="open-sesame"))
    assert "given don't do" in (error.message or "")


@pytest.mark.shim_only
async def test_an_account_that_is_configured_counts_without_a_restart(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    """Improvement: containerd reads its configuration at start alone."""
    assert pulling.shim
    registry.auth = "basic"
    await refusal(client)
    configuration, process = pulling.node.path(MAIN.config), pulling.shim.daemon.pid
    before = configuration.read_text()
    account = f"registry.configs.'{registry.address}:{registry.port}'.auth"
    lines = f"[plugins.'io.containerd.cri.v1.images'.{account}]\n  username = '{USER}'\n  password = '{PASSWORD}'\n"
    try:
        configuration.write_text(before + lines)
        os.kill(process, signal.SIGHUP)

        async def opened() -> str | None:
            try:
                return await pull(client)
            except GRPCError:
                return None

        assert await eventually(opened)
        assert pulling.shim.daemon.pid == process
    finally:
        configuration.write_text(before)
        os.kill(process, signal.SIGHUP)
    assert PASSWORD not in "".join(pulling.logs().values())
