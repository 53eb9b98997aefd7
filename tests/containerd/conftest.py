"""A containerd of the tests' own: the real protocol on a real Unix socket, answers by the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf.empty_pb2 import Empty
from grpclib.const import Cardinality, Handler
from grpclib.protocol import H2Protocol
from grpclib.server import Server
from h2.settings import SettingCodes

from cri_shim.api.containerd.services.containers.v1 import containers_pb2 as containers
from cri_shim.api.containerd.services.events.v1.events_pb2 import SubscribeRequest
from cri_shim.api.containerd.services.tasks.v1 import tasks_pb2 as tasks
from cri_shim.api.containerd.services.version.v1.version_pb2 import VersionResponse
from cri_shim.api.containerd.types.event_pb2 import Envelope

if TYPE_CHECKING:
    from asyncio import BaseTransport
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from grpclib.server import Stream

UNARY, STREAM = Cardinality.UNARY_UNARY, Cardinality.UNARY_STREAM
METHODS = {
    "/containerd.services.version.v1.Version/Version": (UNARY, Empty, VersionResponse),
    "/containerd.services.containers.v1.Containers/Get": (
        UNARY,
        containers.GetContainerRequest,
        containers.GetContainerResponse,
    ),
    "/containerd.services.containers.v1.Containers/Create": (
        UNARY,
        containers.CreateContainerRequest,
        containers.CreateContainerResponse,
    ),
    "/containerd.services.tasks.v1.Tasks/Wait": (UNARY, tasks.WaitRequest, tasks.WaitResponse),
    "/containerd.services.tasks.v1.Tasks/DeleteProcess": (UNARY, tasks.DeleteProcessRequest, tasks.DeleteResponse),
    "/containerd.services.events.v1.Events/Subscribe": (STREAM, SubscribeRequest, Envelope),
}


class UnlimitedProtocol(H2Protocol):
    """grpclib's server takes 100 streams at a time on a connection; containerd's has no limit."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self.connection._connection.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 1 << 31})
        self.connection.flush()


class UnlimitedServer(Server):
    """A server whose end is a process's end: connections break."""

    def __init__(self, fake: FakeContainerd) -> None:
        super().__init__([fake])
        self._protocols: list[H2Protocol] = []

    def _protocol_factory(self) -> H2Protocol:
        plain = super()._protocol_factory()
        self._protocols.append(UnlimitedProtocol(plain.handler, plain.config, plain.h2_config))
        return self._protocols[-1]

    def close(self) -> None:
        super().close()
        for protocol in self._protocols:
            protocol.processor.close()


class FakeContainerd:
    """Set `answers[method's last word]` to an async function of the server's stream; then `start` and `stop` it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.answers: dict[str, Callable[[Stream], Awaitable[None]]] = {"Version": self._version}
        self._server: Server | None = None

    async def _version(self, stream: Stream) -> None:
        await stream.recv_message()
        await stream.send_message(VersionResponse(version="2.1.9"))

    def __mapping__(self) -> dict[str, Handler]:
        return {name: Handler(self._answer(name), *kinds) for name, kinds in METHODS.items()}

    def _answer(self, name: str) -> Callable[[Stream], Awaitable[None]]:
        async def answer(stream: Stream) -> None:
            await self.answers[name.rpartition("/")[2]](stream)

        return answer

    async def start(self) -> None:
        self._server = UnlimitedServer(self)
        await self._server.start(path=self.path)

    async def stop(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            await server.wait_closed()


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[FakeContainerd]:
    server = FakeContainerd(str(tmp_path / "containerd.sock"))
    await server.start()
    yield server
    await server.stop()
