"""Forwarded ports end to end on loopback, over SPDY, over SPDY in a WebSocket, and in channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from cri_shim.api.runtime import v1 as cri
from integration.streaming_client.spdy import spdy_client, spdy_ports
from integration.streaming_client.websocket import channel_ports, tunnelled_ports

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from anyio.abc import ByteStream

    from integration.streaming_client.spdy import SpdyPorts
    from tests.streaming.serving import Served

    Ports = Callable[[str], AbstractAsyncContextManager[SpdyPorts]]

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[spdy_ports, tunnelled_ports], ids=["spdy", "tunnel"])
def ports_at(request: pytest.FixtureRequest) -> Ports:
    found: Ports = request.param
    return found


def url_of(served: Served, *ports: int) -> str:
    return served.server.port_forward(cri.PortForwardRequest(pod_sandbox_id="p", port=list(ports)))


async def all_of(stream: ByteStream) -> bytes:
    return b"".join([data async for data in stream])


async def test_connections_go_both_ways_and_end_by_halves(served: Served, ports_at: Ports) -> None:
    async with ports_at(url_of(served)) as ports:
        connections = [await ports.connect(port) for port in (80, 443)]
        for connection in connections:
            await connection.send(b"hello")
            await connection.send_eof()
        for connection, port in zip(connections, (80, 443), strict=True):
            assert await all_of(connection) == f"p:{port}\nHELLO".encode()
            assert await connection.error_text() == ""


async def test_a_refused_port_is_told_of_on_the_error_stream(served: Served, ports_at: Ports) -> None:
    async with ports_at(url_of(served)) as ports:
        refused = await ports.connect(1)
        assert await refused.error_text() == "error forwarding port 1 to pod p, uid : nobody listens"
        assert await all_of(refused) == b""
        assert await (await ports.connect(2)).receive() == b"p:2\n"


async def test_a_connection_that_is_not_read_does_not_stop_the_others_sending(served: Served, ports_at: Ports) -> None:
    async with ports_at(url_of(served)) as ports:
        for port in range(2, 40):
            connection = await ports.connect(port)
            await connection.send(b"x" * 100_000)
            await connection.send_eof()
            assert len(await all_of(connection)) == len(f"p:{port}\n") + 100_000


async def test_many_connections_leave_nothing_behind(served: Served) -> None:
    async with spdy_ports(url_of(served)) as ports:
        for port in range(1000, 1600):  # more than may be open at once
            connection = await ports.connect(port)
            await connection.send_eof()
            assert await all_of(connection) == f"p:{port}\n".encode()
    assert len(served.runtime.ended) == 600


@pytest.mark.parametrize(
    "headers",
    [
        (("streamType", "data"),),
        (("streamType", "data"), ("port", "0")),
        (("streamType", "data"), ("port", "65536")),
        (("streamType", "data"), ("port", "-1")),
        (("streamType", "data"), ("port", "\u0664")),
        (("streamType", "stdin"), ("port", "80")),
        (("port", "80"),),
    ],
)
async def test_streams_that_can_t_be_meant_are_reset(served: Served, headers: tuple[tuple[str, str], ...]) -> None:
    async with spdy_client(url_of(served), "portforward.k8s.io") as (client, _):
        assert (await client.open(headers)).reset_status is not None


async def test_clients_without_request_ids_open_error_before_data(served: Served) -> None:
    async with spdy_client(url_of(served), "portforward.k8s.io") as (client, _):
        for port in ("80", "81"):
            await client.open((("streamType", "error"), ("port", port)))
            data = await client.open((("streamType", "data"), ("port", port)))
            assert await data.receive() == f"p:{port}\n".encode()


async def test_a_second_stream_of_a_kind_is_reset(served: Served) -> None:
    async with spdy_client(url_of(served), "portforward.k8s.io") as (client, _):
        headers = (("streamType", "error"), ("port", "80"), ("requestID", "7"))
        assert (await client.open(headers)).reset_status is None
        assert (await client.open(headers)).reset_status is not None


@pytest.mark.parametrize(
    "protocol", [(), ("v4.channel.k8s.io",), ("v4.base64.channel.k8s.io",), ("portforward.k8s.io",)]
)
async def test_each_port_has_its_pair_of_channels(served: Served, protocol: tuple[str, ...]) -> None:
    async with channel_ports(url_of(served, 80, 1, 8080), 3, *protocol) as (http, refused, other):
        assert [http.port, refused.port, other.port] == [80, 1, 8080]
        assert await http.receive() == b"p:80\n"
        await http.send(b"a")
        assert await http.receive() == b"A"
        await other.send(b"b")
        assert await other.receive() == b"p:8080\n"
        assert await other.receive() == b"B"
        await other.aclose()
        assert "nobody listens" in await refused.error_text()


async def test_a_client_that_leaves_ends_its_connections(served: Served, ports_at: Ports) -> None:
    async with ports_at(url_of(served)) as ports:
        for port in (80, 81):
            assert await (await ports.connect(port)).receive()
    with anyio.fail_after(20):
        while sorted(served.runtime.ended) != ["80", "81"]:  # noqa: ASYNC110
            await anyio.sleep(0.01)
