"""A session of port-forward: SPDY on its own, or in a tunnel of WebSocket messages, as kubectl sends it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from cri_shim.smoke.check import Skipped
from cri_shim.smoke.streams.spdy import SpdyClient, Stream, running, spdy
from cri_shim.smoke.streams.upgrade import Refused
from cri_shim.smoke.streams.websocket import Tunnel, websocket
from cri_shim.streaming.protocols import PORT_FORWARD, TUNNEL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.smoke.place import Place
    from cri_shim.streaming.inbox import Inbox

_READ: Final = 1 << 16


@dataclass(frozen=True)
class Forwarded:
    """A connection to a pod's port."""

    data: Stream
    error: Stream

    async def echoed(self, text: bytes) -> bytes:
        """What a server that echoes sends back."""
        await self.data.send(text)
        await self.data.end()
        return await _all(self.data.inbox)

    async def error_text(self) -> str:
        """What is said of a connection that failed; "" of one that did not."""
        return (await _all(self.error.inbox)).decode(errors="replace")


@dataclass
class Ports:
    """The session."""

    client: SpdyClient
    requests: int = 0

    async def connect(self, port: int) -> Forwarded:
        """A connection to `port`."""
        headers = (("port", str(port)), ("requestid", str(self.requests)))
        self.requests += 1
        error = await self.client.open((("streamtype", "error"), *headers), ended=True)
        return Forwarded(await self.client.open((("streamtype", "data"), *headers)), error)


@asynccontextmanager
async def ports(place: Place, url: str, *, tunnelled: bool = False) -> AsyncIterator[Ports]:
    """A session at `url`. Raises Skipped where `tunnelled` and the endpoint doesn't know of it; else Refused."""
    if not tunnelled:
        async with spdy(place, url, PORT_FORWARD) as client:
            yield Ports(client)
        return
    try:
        async with websocket(place, url, TUNNEL, channels=0) as socket, running(Tunnel(socket)) as client:
            yield Ports(client)
    except Refused as error:
        raise Skipped(f"the endpoint does not tunnel SPDY in WebSocket: {error}") from error


async def _all(inbox: Inbox) -> bytes:
    found = b""
    try:
        while True:
            found += await inbox.receive(_READ)
    except anyio.EndOfStream:
        return found
