"""`python -m bench.loopback_streams`: how fast the streaming server moves bytes, with nothing but itself behind it.

Each way is measured over loopback with our own client in the same process: what is printed is the price of both ends.
A raw TCP connection of the same library is the measure to compare with.
"""

from __future__ import annotations

import argparse
import resource
import time
from functools import partial
from typing import TYPE_CHECKING

import anyio
import uvloop

from cri_shim.api.runtime import v1 as cri
from cri_shim.config.settings import StreamingSettings
from cri_shim.streaming.server import StreamingServer
from integration.streaming_client.spdy import spdy_command, spdy_ports
from integration.streaming_client.websocket import tunnelled_ports, websocket_command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from anyio.abc import ByteReceiveStream, ByteStream, SocketStream

    from cri_shim.cri.remote_streams import RemoteStreams
    from integration.streaming_client.session import CommandSession
    from integration.streaming_client.spdy import SpdyPorts

_CHUNK = bytes(64 << 10)


async def drain(stream: ByteReceiveStream) -> int:
    """How many bytes come."""
    count = 0
    async for data in stream:
        count += len(data)
    return count


class Endless:
    """A runtime whose commands and ports send `size` bytes, or take all there are."""

    def __init__(self, size: int) -> None:
        self._size = size

    async def exec(self, request: cri.ExecRequest, streams: RemoteStreams) -> int:
        del request
        if streams.stdin:
            await drain(streams.stdin)
        elif streams.stdout:
            for _ in range(0, self._size, len(_CHUNK)):
                await streams.stdout.send(_CHUNK)
        return 0

    async def attach(self, request: cri.AttachRequest, streams: RemoteStreams) -> None:
        raise NotImplementedError

    async def port_forward(self, pod_sandbox_id: str, port: int, stream: ByteStream) -> None:
        del pod_sandbox_id
        if port == 1:
            await drain(stream)
        else:
            for _ in range(0, self._size, len(_CHUNK)):
                await stream.send(_CHUNK)
        await stream.send_eof()


async def raw(size: int) -> None:
    """The same bytes over TCP alone."""

    async def serve(stream: SocketStream) -> None:
        async with stream:
            for _ in range(0, size, len(_CHUNK)):
                await stream.send(_CHUNK)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            assert await drain(stream) == size
        tasks.cancel_scope.cancel()


async def stdout(session: AbstractAsyncContextManager[CommandSession], size: int) -> None:
    """A command's output."""
    async with session as command:
        count = 0
        while data := await command.read():
            count += len(data)
        assert count == size
        assert await command.exit_code() == 0


async def stdin(session: AbstractAsyncContextManager[CommandSession], size: int) -> None:
    """A command's input."""
    async with session as command:
        for _ in range(0, size, len(_CHUNK)):
            await command.write("stdin", _CHUNK)
        await command.end_stdin()
        assert await command.exit_code() == 0


async def port(session: AbstractAsyncContextManager[SpdyPorts], size: int, *, up: bool) -> None:
    """A forwarded connection, one way."""
    async with session as ports:
        connection = await ports.connect(1 if up else 2)
        if up:
            for _ in range(0, size, len(_CHUNK)):
                await connection.send(_CHUNK)
            await connection.send_eof()
        assert await drain(connection) == (0 if up else size)


async def measured(name: str, size: int, work: Callable[[], Awaitable[None]]) -> None:
    """Print what `work` reaches."""
    begin, cpu = time.perf_counter(), time.process_time()
    await work()
    seconds, busy = time.perf_counter() - begin, time.process_time() - cpu
    megabytes = size / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{name:28} {megabytes / seconds:8.0f} MB/s  {1000 * busy / megabytes:6.2f} ms CPU/MB  peak {peak} MiB")


async def run(size: int) -> None:
    """All ways, one after another."""
    server = StreamingServer(StreamingSettings(), Endless(size))

    def out() -> str:
        return server.exec(cri.ExecRequest(stdout=True))

    def into() -> str:
        return server.exec(cri.ExecRequest(stdin=True))

    def ports() -> str:
        return server.port_forward(cri.PortForwardRequest())

    v5 = "v5.channel.k8s.io"
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.serve)
        await measured("TCP alone", size, lambda: raw(size))
        await measured("stdout, SPDY", size, lambda: stdout(spdy_command(out(), stderr=False), size))
        await measured("stdout, WebSocket", size, lambda: stdout(websocket_command(out(), v5), size))
        await measured(
            "stdin, SPDY", size, lambda: stdin(spdy_command(into(), stdin=True, stdout=False, stderr=False), size)
        )
        await measured("stdin, WebSocket", size, lambda: stdin(websocket_command(into(), v5), size))
        for up, way in ((False, "from the pod"), (True, "to the pod")):
            await measured(f"port {way}, SPDY", size, partial(port, spdy_ports(ports()), size, up=up))
            await measured(f"port {way}, tunnel", size, partial(port, tunnelled_ports(ports()), size, up=up))
        tasks.cancel_scope.cancel()


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024, help="through each way")
    size = parser.parse_args().megabytes << 20
    anyio.run(run, size, backend_options={"loop_factory": uvloop.new_event_loop})


if __name__ == "__main__":
    main()
