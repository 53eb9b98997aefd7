"""Port-forward over SPDY: for each connection, the client opens an error and a data stream with one request id.

Source: k8s.io/streaming's `portforward/httpstream.go`; clients that give no request id open the error stream just
before the data stream.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import structlog

from cri_shim.streaming import seconds
from cri_shim.streaming.forwarding import forward, port_number
from cri_shim.streaming.lost import LOST
from cri_shim.streaming.spdy.faults import ResetStatus
from cri_shim.streaming.spdy.limits import DEFAULT_LIMITS
from cri_shim.streaming.spdy_session import SpdySession

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from cri_shim.api.runtime import v1 as cri
    from cri_shim.cri.remote_streams import RemoteRuntime
    from cri_shim.streaming.spdy_session import SpdyStream
    from cri_shim.streaming.transport import Transport

log = structlog.get_logger(__name__)

_PAIRS = DEFAULT_LIMITS.streams // 2  # at once, with those whose streams were reset before they were a pair


@dataclass(slots=True)
class _Pair:
    """The two streams of a connection, until both are there."""

    streams: dict[str, SpdyStream] = field(default_factory=dict)
    complete: anyio.Event = field(default_factory=anyio.Event)


class _Pairing:
    """Streams become pairs, and pairs connections."""

    def __init__(self, tasks: TaskGroup, runtime: RemoteRuntime, pod_sandbox_id: str) -> None:
        self._tasks = tasks
        self._runtime = runtime
        self._pod = pod_sandbox_id
        self._pairs: dict[str, _Pair] = {}

    def opened(self, stream: SpdyStream) -> None:
        kind = stream.headers.get("streamtype", "")
        port = port_number(stream.headers.get("port", ""))
        if kind not in {"error", "data"} or port is None:
            stream.reset()
            return
        request_id = stream.headers.get("requestid") or _implied(kind, stream.stream_id)
        pair = self._pairs.get(request_id)
        if pair is None and len(self._pairs) >= _PAIRS:
            stream.reset(ResetStatus.REFUSED_STREAM)
            return
        if pair is None:
            pair = self._pairs[request_id] = _Pair()
            self._tasks.start_soon(self._serve, request_id, pair, port)
        elif kind in pair.streams:
            stream.reset()
            return
        stream.accept()
        pair.streams[kind] = stream
        if kind == "error":
            stream.discard()
        if len(pair.streams) == 2:  # noqa: PLR2004  (a pair)
            pair.complete.set()

    def lost(self) -> None:
        """The client is gone: what is no pair will be none."""
        for pair in self._pairs.values():
            pair.complete.set()

    async def _serve(self, request_id: str, pair: _Pair, port: int) -> None:
        try:
            with anyio.move_on_after(seconds.CREATION) as waiting:
                await pair.complete.wait()
            text = f"no data stream for request {request_id}" if waiting.cancelled_caught else ""
            if data := pair.streams.get("data") if not text else None:
                text = await forward(self._runtime, self._pod, port, data)
            with suppress(*LOST):
                await _finish(pair, text)
        finally:
            del self._pairs[request_id]


async def _finish(pair: _Pair, text: str) -> None:
    """Close both sides of both streams; `text` says what went wrong."""
    if error := pair.streams.get("error"):
        if text:
            await error.send(text.encode())
        await error.aclose()
    if data := pair.streams.get("data"):
        if text:
            data.reset()
        await data.aclose()


def _implied(kind: str, stream_id: int) -> str:
    return str(stream_id if kind == "error" else stream_id - 2)


async def ports_over_spdy(
    transport: Transport, first: bytes, runtime: RemoteRuntime, request: cri.PortForwardRequest
) -> None:
    """Forward connections until the client is gone; `first` is what came with the request."""
    async with anyio.create_task_group() as tasks:
        pairing = _Pairing(tasks, runtime, request.pod_sandbox_id)
        session = SpdySession(transport, pairing.opened)
        await transport.reading(session.run, first)
        session.lost()
        pairing.lost()
        tasks.cancel_scope.deadline = anyio.current_time() + seconds.PARTING
