"""Bytes through exec and port-forward, each way, between a real container or pod and a client as cheap as can be."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio import to_thread

from bench import bulk
from bench.endpoint import container_config, pod_config
from bench.works import SLEEP
from cri_shim.api.runtime import v1 as cri

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from bench.bulk import Opened
    from bench.endpoint import Endpoint

_V4, _V5, _PORTS = "v4.channel.k8s.io", "v5.channel.k8s.io", "portforward.k8s.io"
_STDIN = 0  # its channel on WebSocket
_FROM, _TO = 7001, 7002  # ports that send and that receive
_SUCCESS = b'"status":"Success"'
_SINK = [
    "sh",
    "-c",
    "cat >/dev/null; echo all",
]  # its output stays open: the peer ends a session whose outputs have ended


async def all_ways(end: Endpoint, megabytes: int, node_pid: int) -> None:
    """Each way once. On WebSocket as well where that is spoken, which the peer's server does not."""
    run = end.runtime
    config = pod_config(end)
    pod = (await run.run_pod_sandbox(cri.RunPodSandboxRequest(config=config))).pod_sandbox_id
    request = cri.CreateContainerRequest(pod_sandbox_id=pod, config=container_config(SLEEP), sandbox_config=config)
    container = (await run.create_container(request)).container_id
    await run.start_container(cri.StartContainerRequest(container_id=container))
    ways = _Ways(end, pod, container, f"/proc/{node_pid}/ns/net", megabytes << 20)
    try:
        await ways.output(websocket=False)
        await ways.input(websocket=False)
        with _port_servers(await _network(end, pod, node_pid), megabytes << 20) as served:
            await ways.from_pod()
            await ways.to_pod(served)
        if end.name == "ours":
            await ways.output(websocket=True)
            await ways.input(websocket=True)
    finally:
        await run.stop_pod_sandbox(cri.StopPodSandboxRequest(pod_sandbox_id=pod))
        await run.remove_pod_sandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=pod))


@dataclass(frozen=True)
class _Ways:
    """A pod and its container on one endpoint."""

    end: Endpoint
    pod: str
    container: str
    network: str
    size: int

    async def output(self, *, websocket: bool) -> None:
        command = ["dd", "if=/dev/zero", "bs=1M", f"count={self.size >> 20}"]
        asked = cri.ExecRequest(container_id=self.container, cmd=command, stdout=True)
        url = (await self.end.runtime.exec(asked)).url

        def work() -> None:
            with self._command(url, ("stdout",), websocket=websocket) as opened:
                count, tail = bulk.received(opened.socket)
                assert count >= self.size
                assert _SUCCESS in tail, tail

        await self._measured(f"exec stdout{_on(websocket)}", work)

    async def input(self, *, websocket: bool) -> None:
        asked = cri.ExecRequest(container_id=self.container, cmd=_SINK, stdin=True, stdout=True)
        url = (await self.end.runtime.exec(asked)).url

        def work() -> None:
            with self._command(url, ("stdout", "stdin"), websocket=websocket) as opened:
                bulk.sent(opened, self.size)
                _, tail = bulk.received(opened.socket)
                assert _SUCCESS in tail, tail

        await self._measured(f"exec stdin{_on(websocket)}", work)

    async def from_pod(self) -> None:
        url = await self._ports_url(_FROM)

        def work() -> None:
            with self._port(url, _FROM) as opened:
                bulk.received(opened.socket, at_least=self.size)

        await self._measured("port-forward from the pod", work)

    async def to_pod(self, served: threading.Semaphore) -> None:
        url = await self._ports_url(_TO)

        def work() -> None:
            with self._port(url, _TO) as opened:
                bulk.sent(opened, self.size)
                assert served.acquire(timeout=bulk.SECONDS)

        await self._measured("port-forward to the pod", work)

    @contextmanager
    def _command(self, url: str, kinds: tuple[str, ...], *, websocket: bool) -> Iterator[Opened]:
        if websocket:
            with bulk.websocket(url, self.network, _V5, _STDIN) as opened:
                yield opened
        else:
            streams = [(("streamtype", kind),) for kind in ("error", *kinds)]
            with bulk.spdy(url, self.network, _V4, streams) as opened:
                yield opened

    @contextmanager
    def _port(self, url: str, port: int) -> Iterator[Opened]:
        more = (("port", str(port)), ("requestid", "1"))
        streams = [(("streamtype", kind), *more) for kind in ("error", "data")]
        with bulk.spdy(url, self.network, _PORTS, streams) as opened:
            yield opened

    async def _ports_url(self, port: int) -> str:
        request = cri.PortForwardRequest(pod_sandbox_id=self.pod, port=[port])
        return (await self.end.runtime.port_forward(request)).url

    async def _measured(self, way: str, work: Callable[[], None]) -> None:
        cpu, begin = self.end.cpu_seconds(), time.perf_counter()
        await to_thread.run_sync(work)
        megabytes = self.size / 1e6
        self.end.record(f"{way} throughput", megabytes / (time.perf_counter() - begin))
        self.end.record(f"server CPU per MB, {way}", (self.end.cpu_seconds() - cpu) / megabytes * 1e3)


def _on(websocket: bool) -> str:  # noqa: FBT001
    return ", WebSocket" if websocket else ""


async def _network(end: Endpoint, pod: str, node_pid: int) -> str:
    """The file of the pod's network namespace, as this process sees it."""
    request = cri.PodSandboxStatusRequest(pod_sandbox_id=pod, verbose=True)
    info = json.loads((await end.runtime.pod_sandbox_status(request)).info["info"])
    (path,) = (one["path"] for one in info["runtimeSpec"]["linux"]["namespaces"] if one["type"] == "network")
    return f"/proc/{node_pid}/root/run/netns/{os.path.basename(path)}"


@contextmanager
def _port_servers(network: str, size: int) -> Iterator[threading.Semaphore]:
    """One port of the pod that sends `size` bytes, and one that takes them, for one client each.

    The semaphore is released when all are there.
    """
    arrived = threading.Semaphore(0)

    def send(connection: socket.socket) -> None:
        block = bytes(bulk.BLOCK)
        for _ in range(size // bulk.BLOCK):
            connection.sendall(block)

    def receive(connection: socket.socket) -> None:
        count, _ = bulk.received(connection, at_least=size)
        assert count >= size
        arrived.release()

    with _listening(network, _FROM, send), _listening(network, _TO, receive):
        yield arrived


@contextmanager
def _listening(network: str, port: int, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    def run() -> None:
        connection, _ = listener.accept()
        with connection:
            serve(connection)

    with bulk.in_network(network) as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield
