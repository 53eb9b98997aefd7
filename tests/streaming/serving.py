"""A streaming server on loopback, and a small runtime behind it: its commands are coroutines."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import anyio

from cri_shim.errors import CriError, NotFound
from cri_shim.streaming.server import StreamingServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from anyio.abc import ByteStream, TaskStatus

    from cri_shim.api.runtime import v1 as cri
    from cri_shim.config.settings import StreamingSettings
    from cri_shim.cri.remote_streams import RemoteStreams

Command: TypeAlias = "Callable[[RemoteStreams], Awaitable[int]]"


async def cat(streams: RemoteStreams) -> int:
    assert streams.stdin
    assert streams.stdout
    async for data in streams.stdin:
        await streams.stdout.send(data)
    return 0


async def both_outputs(streams: RemoteStreams) -> int:
    assert streams.stdout
    assert streams.stderr
    await streams.stdout.send(b"out\x00\xff")
    await streams.stderr.send(b"err")
    return 7


async def sizes(streams: RemoteStreams) -> int:
    assert streams.stdout
    assert streams.resizes
    async for size in streams.resizes:
        await streams.stdout.send(f"{size.width}x{size.height}\n".encode())
        if size.width == 1:
            break
    return 0


async def no_such_file(_: RemoteStreams) -> int:
    raise NotFound('exec: "nowhere": no such file')


async def broken(_: RemoteStreams) -> int:
    raise RuntimeError("a bug")


async def ignores_stdin(streams: RemoteStreams) -> int:
    assert streams.stdout
    await streams.stdout.send(b"x" * (1 << 20))
    return 3


COMMANDS: dict[str, Command] = {
    "cat": cat,
    "both": both_outputs,
    "sizes": sizes,
    "missing": no_such_file,
    "bug": broken,
    "deaf": ignores_stdin,
}


@dataclass
class Runtime:
    """`RemoteRuntime`; a port greets, and sends back what it gets in upper case."""

    commands: dict[str, Command] = field(default_factory=lambda: dict(COMMANDS))
    ended: list[str] = field(default_factory=list)

    async def exec(self, request: cri.ExecRequest, streams: RemoteStreams) -> int:
        try:
            return await self.commands[request.cmd[0]](streams)
        finally:
            self.ended.append(request.cmd[0])

    async def attach(self, request: cri.AttachRequest, streams: RemoteStreams) -> None:
        try:
            await self.commands[request.container_id](streams)
        finally:
            self.ended.append(request.container_id)

    async def port_forward(self, pod_sandbox_id: str, port: int, stream: ByteStream) -> None:
        if port == 1:
            raise CriError("nobody listens")
        await stream.send(f"{pod_sandbox_id}:{port}\n".encode())
        async for data in stream:
            await stream.send(data.upper())
        self.ended.append(str(port))


@dataclass
class Served:
    """The server, and what is behind it."""

    server: StreamingServer
    runtime: Runtime
    stop: Callable[[], None]


@asynccontextmanager
async def serving(settings: StreamingSettings) -> AsyncIterator[Served]:
    runtime = Runtime()
    server = StreamingServer(settings, runtime)
    scope = anyio.CancelScope()

    async def run(*, task_status: TaskStatus[None]) -> None:
        with scope:
            await server.serve(task_status=task_status)

    async with anyio.create_task_group() as tasks:
        await tasks.start(run)
        yield Served(server, runtime, scope.cancel)
        tasks.cancel_scope.cancel()
