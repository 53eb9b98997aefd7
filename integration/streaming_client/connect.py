"""From a URL to a connection that has switched protocols."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
import h11
from anyio.streams.tls import TLSStream

from cri_shim.linux import netns


@dataclass
class Network:
    """From where connections are made: a network namespace's file, or "" for where we are."""

    netns: str = ""


node = Network()


class Refused(Exception):
    """The server has answered something else than 101."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: str) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.headers = headers
        self.body = body


async def dial(url: str) -> anyio.abc.ByteStream:
    """A connection to the URL's server; its certificate is not checked, as a kubelet's proxy does not."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    stream = await _connected(parts.hostname, parts.port or 80)
    if parts.scheme != "https":
        return stream
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return await TLSStream.wrap(
        stream, server_side=False, hostname=parts.hostname, ssl_context=context, standard_compatible=False
    )


async def _connected(host: str, port: int) -> anyio.abc.SocketStream:
    if not node.netns:
        return await anyio.connect_tcp(host, port)
    with ExitStack() as made:
        connection = await netns.tcp_socket(node.netns, socket.AF_INET, made)
        await asyncio.get_running_loop().sock_connect(connection, (host, port))
        made.pop_all()
    return await anyio.abc.SocketStream.from_socket(connection)


async def upgrade(
    stream: anyio.abc.ByteStream, url: str, headers: list[tuple[str, str]], method: str = "POST"
) -> tuple[dict[str, str], bytes]:
    """The headers of the 101, and the bytes after it. Raises Refused."""
    parts = urlsplit(url)
    http = h11.Connection(h11.CLIENT)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    request = h11.Request(method=method, target=target, headers=[("Host", parts.netloc), *headers])
    await stream.send(http.send(request) or b"")
    await stream.send(http.send(h11.EndOfMessage()) or b"")
    event, body = None, b""
    while not isinstance(event, (h11.InformationalResponse, h11.EndOfMessage)):
        while (next_event := http.next_event()) is h11.NEED_DATA:
            try:
                http.receive_data(await stream.receive())
            except anyio.EndOfStream:
                http.receive_data(b"")
        if isinstance(next_event, h11.Response):
            refused = next_event
        elif isinstance(next_event, h11.Data):
            body += next_event.data
        elif isinstance(next_event, h11.ConnectionClosed):
            raise Refused(0, [], "closed")
        event = next_event
    if isinstance(event, h11.InformationalResponse):
        return {name.decode(): value.decode() for name, value in event.headers}, http.trailing_data[0]
    raise Refused(
        refused.status_code, [(name.decode(), value.decode()) for name, value in refused.headers], body.decode()
    )
