"""A command's session, whatever carries it: exec and attach (KEP-4006; k8s.io/apimachinery's remotecommand)."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from cri_shim.smoke.check import Failed, Skipped
from cri_shim.smoke.streams.spdy import SpdyClient, Stream, spdy
from cri_shim.smoke.streams.upgrade import Refused
from cri_shim.smoke.streams.websocket import WebSocketClient, websocket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.smoke.place import Place
    from cri_shim.streaming.inbox import Inbox

STDIN, STDOUT, STDERR, ERROR, RESIZE = "stdin", "stdout", "stderr", "error", "resize"
_CHANNELS: Final = (STDIN, STDOUT, STDERR, ERROR, RESIZE)  # a stream's channel is its place here
_CLOSE: Final = 255  # v5: the channel in the next byte has ended
SPDY_V4, V4, V5 = "v4.channel.k8s.io over SPDY", "v4.channel.k8s.io", "v5.channel.k8s.io"
_SECONDS: Final = 20.0


class _Carrier(Protocol):
    inboxes: dict[str, Inbox]

    async def write(self, stream: str, data: bytes) -> None: ...

    async def end_stdin(self) -> None: ...


class Command:
    """A session: what a client does with one."""

    def __init__(self, carrier: _Carrier) -> None:
        self._carrier = carrier

    async def write(self, data: bytes) -> None:
        """Send on stdin."""
        await self._carrier.write(STDIN, data)

    async def end_stdin(self) -> None:
        """Say that stdin has ended."""
        await self._carrier.end_stdin()

    async def resize(self, width: int, height: int) -> None:
        """Say that the terminal has this size now."""
        await self._carrier.write(RESIZE, json.dumps({"Width": width, "Height": height}).encode())

    async def read_until(self, wanted: bytes, stream: str = STDOUT) -> bytes:
        """What comes until `wanted` is in it. Raises Failed if it does not come."""
        found = b""
        with anyio.move_on_after(_SECONDS):
            while wanted not in found:
                data = await self._receive(stream)
                if not data:
                    break
                found += data
        if wanted not in found:
            raise Failed(f"{wanted!r} on {stream}", repr(found[-400:]))
        return found

    async def read_all(self, stream: str = STDOUT) -> bytes:
        """All until the end of the stream."""
        found = bytearray()
        while data := await self._receive(stream):
            found += data
        return bytes(found)

    async def outputs(self) -> tuple[bytes, bytes]:
        """All of stdout and of stderr."""
        found: dict[str, bytes] = {}

        async def read(stream: str) -> None:
            found[stream] = await self.read_all(stream)

        async with anyio.create_task_group() as tasks:
            for stream in (STDOUT, STDERR):
                tasks.start_soon(read, stream)
        return found[STDOUT], found[STDERR]

    async def exit_code(self) -> int:
        """The command's, as the error stream tells it. Raises Failed where it tells of something else."""
        text = (await self.read_all(ERROR)).decode(errors="replace")
        try:
            status = json.loads(text)
            if status["status"] == "Success":
                return 0
            causes = status["details"]["causes"]
            return next(int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode")
        except (ValueError, KeyError, TypeError, StopIteration) as error:
            raise Failed("a metav1.Status with an exit code on the error stream", repr(text)) from error

    async def failure(self) -> str:
        """What the error stream says of a command that was not run. Raises Failed when it says that all went well."""
        text = (await self.read_all(ERROR)).decode(errors="replace")
        if '"Failure"' not in text:
            raise Failed("a status of failure on the error stream", repr(text))
        return text

    async def _receive(self, stream: str) -> bytes:
        if stream not in self._carrier.inboxes:
            return b""
        try:
            return await self._carrier.inboxes[stream].receive(1 << 20)
        except anyio.EndOfStream:
            return b""


class _OverSpdy:
    def __init__(self, client: SpdyClient) -> None:
        self.inboxes: dict[str, Inbox] = {}
        self._client = client
        self._streams: dict[str, Stream] = {}

    async def open(self, kind: str) -> None:
        stream = self._streams[kind] = await self._client.open((("streamtype", kind),))
        self.inboxes[kind] = stream.inbox

    async def write(self, stream: str, data: bytes) -> None:
        await self._streams[stream].send(data)

    async def end_stdin(self) -> None:
        await self._streams[STDIN].end()


class _OverWebSocket:
    def __init__(self, client: WebSocketClient) -> None:
        self.inboxes = dict(zip(_CHANNELS, client.inboxes, strict=True))
        self._client = client

    async def write(self, stream: str, data: bytes) -> None:
        await self._client.send(bytes([_CHANNELS.index(stream)]) + data)

    async def end_stdin(self) -> None:
        await self._client.send(bytes([_CLOSE, _CHANNELS.index(STDIN)]))


@asynccontextmanager
async def command(
    place: Place, url: str, protocol: str = SPDY_V4, *, stdin: bool = False, tty: bool = False
) -> AsyncIterator[Command]:
    """A session at `url` with stdout and, without a terminal, stderr.

    Raises Skipped where the endpoint speaks SPDY, but not this protocol; Refused where it doesn't take the request.
    """
    if protocol == SPDY_V4:
        async with spdy(place, url, V4) as client:
            carried = _OverSpdy(client)
            asked = {ERROR: True, STDIN: stdin, STDOUT: True, STDERR: not tty, RESIZE: tty}
            for kind in (kind for kind, wanted in asked.items() if wanted):
                await carried.open(kind)
            yield Command(carried)
        return
    try:
        async with websocket(place, url, protocol, channels=len(_CHANNELS)) as socket:
            yield Command(_OverWebSocket(socket))
    except Refused as error:
        raise Skipped(f"the endpoint does not speak {protocol} over WebSocket: {error}") from error
