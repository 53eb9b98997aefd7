"""A client's connection, to its end."""

from __future__ import annotations

import socket
import struct

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute, SocketStream

from cri_shim.streaming.transport import Transport

pytestmark = pytest.mark.anyio
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close that resets


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": uvloop}) for uvloop in (False, True)])
async def test_a_client_that_has_reset_its_connection_is_told_nothing_and_no_error_is_made_of_it() -> None:
    told, gone = anyio.Event(), anyio.Event()
    gone.set()

    async def serve(stream: SocketStream) -> None:
        transport = Transport(stream)
        with pytest.raises(anyio.BrokenResourceError):
            await transport.receive()
        await anyio.lowlevel.checkpoint()
        await transport.send_eof()
        await transport.linger(gone)
        told.set()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        address = ("127.0.0.1", listener.extra(SocketAttribute.local_port))
        client = await anyio.to_thread.run_sync(socket.create_connection, address)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
        with anyio.fail_after(10):
            await told.wait()
        tasks.cancel_scope.cancel()
