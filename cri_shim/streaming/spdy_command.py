"""Exec and attach over SPDY: the client opens a stream for each of error, stdin, stdout, stderr and resize."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import structlog

from cri_shim.streaming import seconds
from cri_shim.streaming.client_streams import ClientStreams
from cri_shim.streaming.remote_command import Client, perform
from cri_shim.streaming.resizes import Resizes
from cri_shim.streaming.spdy_session import SpdySession

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from cri_shim.cri.remote_streams import RemoteRuntime
    from cri_shim.streaming.protocols import Version
    from cri_shim.streaming.remote_command import CommandRequest
    from cri_shim.streaming.spdy_session import SpdyStream
    from cri_shim.streaming.transport import Transport

log = structlog.get_logger(__name__)

STREAM_TYPE = "streamtype"
_READ = frozenset({"stdin", "resize"})


class _Opening:
    """The streams that were opened, until all that are wanted are there."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self.streams: dict[str, SpdyStream] = {}
        self.complete = anyio.Event()
        self._wanted = wanted

    def opened(self, stream: SpdyStream) -> None:
        kind = stream.headers.get(STREAM_TYPE, "")
        stream.accept()  # also one that nobody wants: a client waits for it
        if kind not in self._wanted or kind in self.streams:
            stream.discard()
            return
        self.streams[kind] = stream
        if kind not in _READ:
            stream.discard()
        if self.streams.keys() == self._wanted:
            self.complete.set()


def _wanted(request: CommandRequest, version: Version) -> frozenset[str]:
    asked = {
        "error": True,
        "stdin": request.stdin,
        "stdout": request.stdout,
        "stderr": request.stderr,
        "resize": request.tty and version.resizes,
    }
    return frozenset(name for name, is_asked in asked.items() if is_asked)


async def command_over_spdy(
    transport: Transport, first: bytes, runtime: RemoteRuntime, request: CommandRequest, version: Version
) -> None:
    """Serve one command on a connection that has just become SPDY; `first` is what came with the request."""
    opening = _Opening(_wanted(request, version))
    session = SpdySession(transport, opening.opened)
    gone = anyio.Event()

    async def read() -> None:
        await transport.reading(session.run, first)
        session.lost()
        gone.set()
        opening.complete.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        with anyio.move_on_after(seconds.CREATION) as waiting:
            await opening.complete.wait()
        if waiting.cancelled_caught:
            log.info("a client has not opened its streams", container_id=request.container_id)
        elif not gone.is_set():
            client = Client(_client_streams(opening.streams, tasks), version, gone, tasks)
            await perform(runtime, request, client)
        await session.close()
        await transport.linger(gone)
        tasks.cancel_scope.cancel()


def _client_streams(streams: dict[str, SpdyStream], tasks: TaskGroup) -> ClientStreams:
    resizes = None
    if "resize" in streams:
        resizes = Resizes()
        tasks.start_soon(resizes.read_from, streams["resize"])
    return ClientStreams(streams["error"], streams.get("stdin"), streams.get("stdout"), streams.get("stderr"), resizes)
