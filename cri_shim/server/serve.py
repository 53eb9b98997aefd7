"""The CRI server: both services on one Unix socket, from listening to the last call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

import anyio
from anyio import to_thread

from cri_shim.codec import CriCodec, prepare
from cri_shim.server.health import Health
from cri_shim.server.instrumented import Gate, Instrumented, Limits, message_classes
from cri_shim.server.listener import Listener, open_listener
from cri_shim.server.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from grpclib._typing import IServable

    from cri_shim.config.settings import Settings

DRAIN_SECONDS = 10.0


def _no_names(_: Mapping[str, Any]) -> Mapping[str, str]:
    return {}


class Server:
    """Listens from entering to leaving the context; lets calls through from `ready` on."""

    def __init__(
        self,
        settings: Settings,
        services: Sequence[IServable],
        names: Callable[[Mapping[str, Any]], Mapping[str, str]] = _no_names,
    ) -> None:
        """`names` tells what the pod and the container are called whose ids a request has, for log lines and spans."""
        grpc = settings.containerd.grpc
        limits = Limits(grpc.max_recv_message_size, grpc.max_send_message_size)
        self._settings = settings
        self._gate = Gate()
        self._health = Health(self._gate)
        always = Gate()  # health is told whatever it is
        always.ready = True
        self._services = [
            *(Instrumented(service, self._gate, limits, names) for service in services),
            Instrumented(self._health, always, limits, names),
        ]
        self._listener: Listener | None = None
        self._transport: Transport | None = None
        self._preparing: asyncio.Task[None] | None = None

    def ready(self) -> None:
        """Let calls through."""
        self._gate.ready = True
        self._health.changed()

    async def __aenter__(self) -> Self:
        shim = self._settings.shim
        self._listener = await to_thread.run_sync(lambda: open_listener(shim.address, gid=shim.gid))
        containerd = self._settings.containerd.grpc.address if shim.pass_through else ""
        self._transport = Transport(self._services, codec=CriCodec(), containerd=containerd)
        await self._transport.listen(self._listener.socket)
        self._preparing = asyncio.create_task(self._prepare())
        return self

    async def _prepare(self) -> None:
        """Compile the codec of every message while the node is being recovered: the first pod's start is no slower."""
        requests, responses = message_classes(self._services)
        await to_thread.run_sync(lambda: prepare(decoded=requests, encoded=responses))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no more calls, give those under way their time, then end them."""
        if self._transport is None or self._listener is None:
            return
        with anyio.CancelScope(shield=True):  # its end is what cancels us; asyncio.shield would leave at once
            await self._close(self._transport, self._listener)

    async def _close(self, transport: Transport, listener: Listener) -> None:
        if self._preparing is not None:
            await self._preparing
        self._gate.shut()
        self._health.changed()
        await transport.drain(DRAIN_SECONDS)
        transport.close()
        await transport.wait_closed()
        listener.close()
