"""PortForward: a client's connection to a port on a pod's own loopback.

The socket is made by a thread that is in the pod's network namespace, and is connected and used on the loop: a socket
stays where it was made. IPv4 first, then IPv6, as containerd's plugin does; other than there, each direction is closed
by itself, so that a request may end before its answer begins.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import CriError, InvalidArgument, Unknown
from cri_shim.linux import netns
from cri_shim.state.sandbox import SandboxState

if TYPE_CHECKING:
    from anyio.abc import ByteStream

    from cri_shim.cri.parts import Parts
    from cri_shim.cri.remote_streams import StreamingUrls
    from cri_shim.state.sandbox import Sandbox

CONNECT_SECONDS = 30.0
SILENT_SECONDS = 1.0  # after the pod's end of a connection, for a client that can't or won't end its own
_READ_BYTES: Final = 1 << 18
_LOOPBACK: Final = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


def prepare_port_forward(parts: Parts, urls: StreamingUrls, request: cri.PortForwardRequest) -> cri.PortForwardResponse:
    """The URL at which ports of the pod can be reached.

    Raises NotFound for no sandbox, Unknown for one that isn't ready, InvalidArgument for a number that is no port,
    ResourceExhausted when too many URLs wait.
    """
    _require_running(parts.sandboxes.find(request.pod_sandbox_id))
    for place, port in enumerate(request.port):
        if not 0 < port < 1 << 16:
            raise InvalidArgument(f"port[{place}] is {port}: a port is a number from 1 to 65535")
    return cri.PortForwardResponse(url=urls.port_forward(request))


async def run_port_forward(parts: Parts, pod_sandbox_id: str, port: int, stream: ByteStream) -> None:
    """Connect `stream` to the port, until both directions have ended.

    Raises NotFound for no sandbox, Unknown for one that isn't ready and when nobody listens on the port.
    """
    sandbox = parts.sandboxes.find(pod_sandbox_id)
    _require_running(sandbox)
    with ExitStack() as made:
        connection = await _connected(sandbox, port, made)
        await _Forwarding(stream, connection).run()


def _require_running(sandbox: Sandbox) -> None:
    if sandbox.status.state is not SandboxState.READY:
        raise Unknown(f"sandbox container is not running: {sandbox.id} ({sandbox.metadata.name}) has no ports to reach")


async def _connected(sandbox: Sandbox, port: int, made: ExitStack) -> socket.socket:
    """The connection to whichever loopback address of the pod's answers first."""
    path = sandbox.metadata.netns_path  # "" for a pod in the host's network
    refusals = []
    for family, address in _LOOPBACK:
        try:
            return await _connect(path, family, (address, port), made)
        except OSError as error:
            refusals.append(os.strerror(error.errno) if error.errno else "no answer")
        except CriError as error:
            refusals.append(str(error))
    raise Unknown(
        f'failed to execute portforward in network namespace "{path or "host"}": failed to connect to '
        f'localhost:{port} inside namespace "{sandbox.id}", IPv4: {refusals[0]} IPv6: {refusals[1]}'
    )


async def _connect(path: str, family: socket.AddressFamily, address: tuple[str, int], made: ExitStack) -> socket.socket:
    connection = await netns.tcp_socket(path, family, made)
    with anyio.fail_after(CONNECT_SECONDS):
        await asyncio.get_running_loop().sock_connect(connection, address)
    return connection


@dataclass(eq=False)
class _Forwarding:
    """The two directions of one connection."""

    stream: ByteStream
    connection: socket.socket
    received: int = 0  # chunks of the client's so far
    client_ended: bool = False

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._to_pod)
            if await self._to_client():
                await self._until_client_is_silent()
            tasks.cancel_scope.cancel()

    async def _to_pod(self) -> None:
        """Until the client's end, which is passed on, or until the pod wants no more."""
        loop = asyncio.get_running_loop()
        with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for data in self.stream:
                self.received += 1
                await loop.sock_sendall(self.connection, data)
            self.connection.shutdown(socket.SHUT_WR)
        self.client_ended = True

    async def _to_client(self) -> bool:
        """Until the pod's end, which is passed on; False when the client is gone."""
        loop = asyncio.get_running_loop()
        try:
            with suppress(OSError):  # reset by the pod
                while data := await loop.sock_recv(self.connection, _READ_BYTES):
                    await self.stream.send(data)
            await self.stream.send_eof()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return False
        return True

    async def _until_client_is_silent(self) -> None:
        """A client may go on speaking to a pod that has said all; one that doesn't is not waited for."""
        heard = -1
        while not self.client_ended and heard != self.received:
            heard = self.received
            await anyio.sleep(SILENT_SECONDS)
