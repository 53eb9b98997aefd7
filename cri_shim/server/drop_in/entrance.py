"""Where a connection comes in: it waits here for its first call, and goes on to where that one is answered.

Clients wait for the server's settings before they make a call; they get some that say nothing, and the real ones from
whoever answers. Source: RFC 9113, sections 3.4 and 6.5.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import structlog

from cri_shim.errors import InvalidArgument
from cri_shim.server.drop_in.frames import NO_SETTINGS, first_path, is_cri
from cri_shim.server.drop_in.splice import Splice

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)


class Connections:
    """The connections that are not ours alone: those spliced to containerd, and those about to be."""

    def __init__(self, containerd: str, ours: Callable[[], asyncio.Protocol]) -> None:
        """`containerd` is the path of its socket; `ours` makes the protocol of a connection that we answer."""
        self._containerd = containerd
        self._ours = ours
        self._splices: set[Splice] = set()
        self._joining: set[asyncio.Task[None]] = set()

    def entrance(self) -> asyncio.Protocol:
        """The protocol for a connection that has just been made."""
        return _Entrance(self)

    def close(self) -> None:
        """Close them all."""
        for task in self._joining:
            task.cancel()
        for splice in list(self._splices):
            splice.close()

    def answer(self, client: asyncio.Transport, received: bytes) -> None:
        """Answer `client` here, from the first byte that it sent."""
        protocol = self._ours()
        client.set_protocol(protocol)
        protocol.connection_made(client)
        protocol.data_received(received)

    def join(self, client: asyncio.Transport, received: bytes) -> None:
        """Have containerd answer `client`."""
        client.pause_reading()
        task = asyncio.get_running_loop().create_task(self._join(client, received))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    async def _join(self, client: asyncio.Transport, received: bytes) -> None:
        splice = Splice(client, self._splices.discard)
        loop = asyncio.get_running_loop()
        try:
            await loop.create_unix_connection(lambda: splice.containerd, self._containerd)
        except OSError as error:
            log.warning("containerd can't be reached", address=self._containerd, error=str(error))
            client.resume_reading()
            self.answer(client, received)  # which tells each call what is wrong
            return
        except BaseException:
            client.close()
            raise
        self._splices.add(splice)
        splice.begin(received)


class _Entrance(asyncio.Protocol):
    """A connection until its first call."""

    _transport: asyncio.Transport

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(NO_SETTINGS)

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            path = first_path(self._received)
        except InvalidArgument as error:
            log.warning("connection closed", problem=str(error))
            self._transport.close()
            return
        if path is None:
            return
        go_on = self._connections.answer if is_cri(path) else self._connections.join
        go_on(self._transport, self._received)
