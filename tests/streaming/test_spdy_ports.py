"""Forwarded ports over SPDY, end to end on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cri_shim.api.runtime import v1 as cri
from integration.streaming_client.spdy import spdy_ports

if TYPE_CHECKING:
    from tests.streaming.serving import Served

pytestmark = pytest.mark.anyio


async def test_connections_go_both_ways_and_end_by_halves(served: Served) -> None:
    url = served.server.port_forward(cri.PortForwardRequest(pod_sandbox_id="p"))
    async with spdy_ports(url) as ports:
        connections = [await ports.connect(port) for port in (80, 443)]
        for connection in connections:
            await connection.send(b"hello")
            await connection.send_eof()
        for connection, port in zip(connections, (80, 443), strict=True):
            assert b"".join([data async for data in connection]) == f"p:{port}\nHELLO".encode()
            assert await connection.error_text() == ""


async def test_a_refused_port_is_told_of_on_the_error_stream(served: Served) -> None:
    url = served.server.port_forward(cri.PortForwardRequest(pod_sandbox_id="p"))
    async with spdy_ports(url) as ports:
        refused = await ports.connect(1)
        assert await refused.error_text() == "error forwarding port 1 to pod p, uid : nobody listens"
        assert await (await ports.connect(2)).receive() == b"p:2\n"
