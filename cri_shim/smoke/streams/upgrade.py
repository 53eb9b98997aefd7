"""From the URL that Exec, Attach or PortForward is answered with to a connection that has switched protocols."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio
import h11
from anyio.streams.tls import TLSStream

from cri_shim.smoke.check import Failed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import ByteStream

    from cri_shim.smoke.place import Place

_PORTS: Final = {"http": 80, "https": 443}


class Refused(Exception):
    """The server has answered with another status than 101."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"HTTP {status}: {body.strip()}")
        self.status = status


@asynccontextmanager
async def dialled(place: Place, url: str) -> AsyncIterator[ByteStream]:
    """A connection to the URL's server. Its certificate is not checked: a kubelet doesn't know who has signed it."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Failed("a URL of http or https with a host", repr(url))
    host = "127.0.0.1" if parts.hostname in ("localhost", "0.0.0.0") else parts.hostname
    stream: ByteStream = await place.connect(host, parts.port or _PORTS[parts.scheme])
    async with stream:
        if parts.scheme == "https":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            stream = await TLSStream.wrap(stream, server_side=False, ssl_context=context, standard_compatible=False)
        yield stream


async def upgrade(
    stream: ByteStream, url: str, method: str, headers: list[tuple[str, str]]
) -> tuple[dict[str, str], bytes]:
    """The headers of the 101, names in lower case, and the bytes after it. Raises Refused."""
    parts = urlsplit(url)
    http = h11.Connection(h11.CLIENT)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    request = h11.Request(method=method, target=target, headers=[("Host", parts.netloc), *headers])
    await stream.send((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
    status, body = 0, b""
    while True:
        match event := await _event(stream, http):
            case h11.InformationalResponse(status_code=101):
                answered = {name.decode(): value.decode() for name, value in event.headers}
                return answered, http.trailing_data[0]
            case h11.Response():
                status = event.status_code
            case h11.Data():
                body += event.data
            case h11.EndOfMessage() | h11.ConnectionClosed():
                raise Refused(status, body.decode(errors="replace"))


async def _event(stream: ByteStream, http: h11.Connection) -> object:
    while (event := http.next_event()) is h11.NEED_DATA:
        try:
            http.receive_data(await stream.receive())
        except anyio.EndOfStream:
            http.receive_data(b"")
    return event
