"""PortForward: connections to ports of a pod's loopback, over everything that clients speak."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.abc import SocketListener
from grpclib import GRPCError
from grpclib.const import Status

from cri_shim.api.runtime import v1 as cri
from cri_shim.linux import netns
from integration.streaming_client.spdy import spdy_ports
from integration.streaming_client.websocket import channel_ports, tunnelled_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import ByteStream, SocketStream

    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet, Pod
    from integration.streaming_client.spdy import SpdyPorts

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("streaming")]

PORT, PORT_V6, PORT_SAYING_FIRST = 28000, 28006, 28007


@asynccontextmanager
async def ports(kubelet: Kubelet, pod: Pod, *, tunnelled: bool = False) -> AsyncIterator[SpdyPorts]:
    url = (await kubelet.runtime.port_forward(cri.PortForwardRequest(pod_sandbox_id=pod.id, port=[PORT]))).url
    with anyio.fail_after(60):
        async with tunnelled_ports(url) if tunnelled else spdy_ports(url) as session:
            yield session


@asynccontextmanager
async def servers(kubelet: Kubelet, running: RunningNode, *, host_network: bool = False) -> AsyncIterator[Pod]:
    """A pod on whose loopback two ports echo, one of them on IPv6 alone, and one says all it has to before it reads."""
    pod = await kubelet.run_pod(kubelet.pod_config(host_network=host_network))
    network = f"/proc/{running.node.pid}/ns/net"
    if not host_network:
        info = json.loads((await kubelet.pod_status(pod, verbose=True)).info["info"])
        (path,) = (one["path"] for one in info["runtimeSpec"]["linux"]["namespaces"] if one["type"] == "network")
        network = kubelet.path(f"/run/netns/{os.path.basename(path)}")  # /var/run is a link, and leads out of the node
    with ExitStack() as made:
        async with anyio.create_task_group() as tasks:
            for family, address, port, serve in (
                (socket.AF_INET, "127.0.0.1", PORT, echo),
                (socket.AF_INET6, "::1", PORT_V6, echo),
                (socket.AF_INET, "127.0.0.1", PORT_SAYING_FIRST, say_first),
            ):
                listener = await netns.tcp_socket(network, family, made)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((address, port))
                listener.listen()
                tasks.start_soon((await SocketListener.from_socket(listener)).serve, serve)
            yield pod
            tasks.cancel_scope.cancel()


async def echo(stream: SocketStream) -> None:
    async with stream:
        with suppress(anyio.BrokenResourceError):
            async for data in stream:
                await stream.send(data)
            await stream.send_eof()


async def say_first(stream: SocketStream) -> None:
    async with stream:
        await stream.send(b"first")
        await stream.send_eof()
        heard.append(sum([len(data) async for data in stream]))


heard: list[int] = []  # bytes that `say_first` was sent


async def all_of(stream: ByteStream) -> bytes:
    return b"".join([data async for data in stream])


async def echoed(stream: ByteStream, data: bytes) -> None:
    async with anyio.create_task_group() as tasks:

        async def send() -> None:
            await stream.send(data)
            await stream.send_eof()

        tasks.start_soon(send)
        assert hashlib.sha256(await all_of(stream)).digest() == hashlib.sha256(data).digest()


async def test_what_can_not_be_forwarded_is_refused(kubelet: Kubelet, endpoint: str) -> None:
    async def refusal(pod: str, *numbers: int) -> GRPCError:
        with pytest.raises(GRPCError) as caught:
            await kubelet.runtime.port_forward(cri.PortForwardRequest(pod_sandbox_id=pod, port=list(numbers)))
        return caught.value

    assert (await refusal("nobody")).status is Status.NOT_FOUND
    pod = await kubelet.run_pod()
    if endpoint == "shim":  # improvement: there they are not looked at
        wrong = await refusal(pod.id, 80, 70000)
        assert (wrong.status, "port[1]" in (wrong.message or "")) == (Status.INVALID_ARGUMENT, True)
    await kubelet.stop_pod(pod)
    stopped = await refusal(pod.id)
    assert (stopped.status, "sandbox container is not running" in (stopped.message or "")) == (Status.UNKNOWN, True)


async def test_many_connections_of_one_session_reach_the_pods_loopback(kubelet: Kubelet, running: RunningNode) -> None:
    async with servers(kubelet, running) as pod, ports(kubelet, pod) as session, anyio.create_task_group() as tasks:

        async def talk(number: int) -> None:
            connection = await session.connect(PORT if number % 2 else PORT_V6)
            await connection.send(b"hello %d" % number)
            assert await connection.receive() == b"hello %d" % number
            await connection.send_eof()
            assert await all_of(connection) == b""
            assert await connection.error_text() == ""

        for number in range(24):
            tasks.start_soon(talk, number)


async def test_bulk_goes_both_ways_at_once_as_it_was(kubelet: Kubelet, running: RunningNode) -> None:
    data = os.urandom(20 << 20)
    async with servers(kubelet, running) as pod, ports(kubelet, pod) as session, anyio.create_task_group() as tasks:
        connection = await session.connect(PORT)
        tasks.start_soon(connection.send, data)
        received = bytearray()
        while len(received) < len(data):
            received += await connection.receive(1 << 20)
        assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest()


@pytest.mark.shim_only  # containerd's plugin knows no half-close: a server would never read the end of its request
async def test_each_direction_ends_by_itself(kubelet: Kubelet, running: RunningNode) -> None:
    data = os.urandom(5 << 20)
    async with servers(kubelet, running) as pod:
        for tunnelled in (False, True):
            async with ports(kubelet, pod, tunnelled=tunnelled) as session:
                await echoed(await session.connect(PORT), data)
                connection = await session.connect(PORT_SAYING_FIRST)
                assert await all_of(connection) == b"first"
                await connection.send(data)
                await connection.send_eof()
                assert await connection.error_text() == ""
    assert heard == [len(data)] * 2


async def test_a_port_that_nobody_listens_on_is_an_error_of_its_connection_alone(
    kubelet: Kubelet, running: RunningNode
) -> None:
    async with servers(kubelet, running) as pod, ports(kubelet, pod) as session:
        refused = await session.connect(9)
        text = await refused.error_text()
        assert text.startswith(f"error forwarding port 9 to pod {pod.id}, uid : failed to execute portforward in ")
        assert "refused" in text
        works = await session.connect(PORT)
        await works.send(b"still")
        assert await works.receive() == b"still"
        await kubelet.stop_pod(pod)
        assert "not running" in (text := await (await session.connect(PORT)).error_text()) or "closed" in text


async def test_a_pod_in_the_hosts_network_has_the_hosts_ports(kubelet: Kubelet, running: RunningNode) -> None:
    async with servers(kubelet, running, host_network=True) as pod, ports(kubelet, pod) as session:
        connection = await session.connect(PORT)
        await connection.send(b"hello")
        assert await connection.receive() == b"hello"


@pytest.mark.shim_only  # containerd refuses it
async def test_older_clients_have_a_pair_of_channels_for_each_port(kubelet: Kubelet, running: RunningNode) -> None:
    async with servers(kubelet, running) as pod:
        request = cri.PortForwardRequest(pod_sandbox_id=pod.id, port=[PORT, PORT_V6])
        url = (await kubelet.runtime.port_forward(request)).url
        async with channel_ports(url, 2, "v4.channel.k8s.io") as forwarded:
            assert [one.port for one in forwarded] == [PORT, PORT_V6]
            for one in forwarded:
                await one.send(b"\0binary\xff")
                assert await one.receive() == b"\0binary\xff"
