"""The client's end of a stream, as cheap as can be: a blocking socket, whole buffers, frames made once.

What is measured is so the server. All functions block, and are called in threads.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode

from cri_shim.linux import netns, own_thread
from cri_shim.streaming.spdy.frame_reader import FrameReader
from cri_shim.streaming.spdy.frames import Data, SynReply, SynStream, serialize
from cri_shim.streaming.spdy.header_block import HeaderDeflater
from cri_shim.streaming.spdy.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cri_shim.streaming.spdy.header_block import Headers

BLOCK = 1 << 20
FRAME = 32 << 10  # bytes of content of each: what Kubernetes' clients copy at a time
SECONDS = 120.0
TAIL = 1 << 10  # bytes, in which a command's status is
_END = b"\r\n\r\n"
_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


@dataclass(frozen=True)
class Opened:
    """A connection whose session has begun; `data` is the number of the stream, or channel, that bytes go on."""

    socket: socket.socket
    data: int
    websocket: bool = False

    def block(self, size: int) -> bytes:
        """Frames with `size` bytes of content in all."""
        one = bytes(FRAME)
        if self.websocket:
            frame = WebSocketFrame(Opcode.BINARY, bytes([self.data]) + one).serialize(mask=True, extensions=[])
        else:
            frame = serialize(Data(self.data, one), HeaderDeflater().block)
        return frame * (size // FRAME)

    def end(self) -> bytes:
        """What says that no more comes."""
        if self.websocket:
            return WebSocketFrame(Opcode.BINARY, bytes([255, self.data])).serialize(mask=True, extensions=[])
        return serialize(Data(self.data, b"", fin=True), HeaderDeflater().block)


@contextmanager
def spdy(url: str, network: str, protocol: str, streams: Sequence[Headers]) -> Iterator[Opened]:
    """A SPDY session with these streams opened, of which the last is the one for data."""
    with _connected(url, network) as connection:
        head = f"Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: {protocol}\r\n"
        reader = FrameReader(DEFAULT_LIMITS)
        replies = sum(isinstance(frame, SynReply) for frame in reader.frames(_switched(connection, url, "POST", head)))
        deflate = HeaderDeflater().block
        opening = [SynStream(2 * number + 1, headers) for number, headers in enumerate(streams)]
        connection.sendall(b"".join(serialize(frame, deflate) for frame in opening))
        while replies < len(streams):
            data = connection.recv(4096)
            assert data, "the server has closed"
            replies += sum(isinstance(frame, SynReply) for frame in reader.frames(data))
        yield Opened(connection, 2 * len(streams) - 1)


@contextmanager
def websocket(url: str, network: str, protocol: str, channel: int) -> Iterator[Opened]:
    """A WebSocket session; bytes go on `channel`."""
    with _connected(url, network) as connection:
        head = f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_KEY}\r\n"
        _switched(connection, url, "GET", f"{head}Sec-WebSocket-Protocol: {protocol}\r\n")
        yield Opened(connection, channel, websocket=True)


@contextmanager
def _connected(url: str, network: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with in_network(network) as connection:
        connection.settimeout(SECONDS)
        connection.connect((parts.hostname, parts.port))
        yield connection


@contextmanager
def in_network(path: str) -> Iterator[socket.socket]:
    """A TCP socket of the network namespace at `path`."""

    def make() -> socket.socket:
        netns.enter(path)
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    with own_thread.call(make) as made:
        yield made


def _switched(connection: socket.socket, url: str, method: str, head: str) -> bytes:
    """Ask for the switch of protocols; what has come after the answer."""
    request = f"{method} {urlsplit(url).path} HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\n{head}\r\n"
    connection.sendall(request.encode())
    answer = b""
    while _END not in answer:
        data = connection.recv(4096)
        assert data, answer
        answer += data
    assert answer.startswith(b"HTTP/1.1 101"), answer
    return answer.partition(_END)[2]


def received(connection: socket.socket, at_least: int = 0) -> tuple[int, bytes]:
    """How many bytes come until the other end closes, or `at_least` so many; and the last of them."""
    buffer, count, tail = bytearray(BLOCK), 0, b""
    view = memoryview(buffer)
    while (length := connection.recv_into(view)) and not (0 < at_least <= count + length):
        count += length
        tail = (tail + buffer[max(0, length - TAIL) : length])[-TAIL:]
    return count + length, tail


def sent(opened: Opened, size: int) -> None:
    """Send `size` bytes, and their end."""
    block = opened.block(BLOCK)
    for _ in range(size // BLOCK):
        opened.socket.sendall(block)
    opened.socket.sendall(opened.end())
