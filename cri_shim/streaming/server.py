"""The HTTP server on which a granted session is taken up: one connection, one request, one session.

Who knows no token learns nothing: every other path is answered alike. Connections that have not shown one are bounded
in number and in time; the oldest gives way.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from http import HTTPStatus
from importlib import import_module
from ssl import SSLError
from typing import TYPE_CHECKING, cast

import anyio
import structlog
from anyio import to_thread
from anyio.abc import SocketAttribute, TaskStatus
from anyio.streams.tls import TLSStream

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import Unavailable
from cri_shim.streaming.http import Exchange, Refusal
from cri_shim.streaming.lost import LOST
from cri_shim.streaming.negotiation import upgrade_for
from cri_shim.streaming.session import Session
from cri_shim.streaming.tickets import Tickets
from cri_shim.streaming.tls import server_context
from cri_shim.streaming.transport import Transport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from anyio.abc import ByteStream, SocketListener, SocketStream, TaskGroup

    from cri_shim.config.settings import StreamingSettings
    from cri_shim.cri.remote_streams import RemoteRuntime
    from cri_shim.streaming.http import Head
    from cri_shim.streaming.tickets import Request

log = structlog.get_logger(__name__)

_PATHS = frozenset({"exec", "attach", "portforward"})
_METHODS = ("GET", "POST")
_HANDSHAKE_SECONDS = 10.0  # from connecting to the end of the request
_HANDSHAKES = 256  # at once
_ACCEPT_PAUSE = 0.1  # seconds, when the process has no descriptor left
_LAZY = ("cri_shim.streaming.websocket_command", "cri_shim.streaming.websocket_ports")  # 60 ms: not before we listen
_KEEPALIVE = {socket.TCP_KEEPIDLE: 15, socket.TCP_KEEPINTVL: 15, socket.TCP_KEEPCNT: 9}


class StreamingServer:
    """`RemoteRuntime` on one side, clients on the other. It is the node's `StreamingUrls`."""

    def __init__(self, settings: StreamingSettings, runtime: RemoteRuntime) -> None:
        self._settings = settings
        self._runtime = runtime
        self._tickets = Tickets()
        self._base = ""  # of URLs, once it listens
        self._tls: ssl.SSLContext | None = None
        self._handshakes: dict[anyio.CancelScope, None] = {}  # oldest first

    # StreamingUrls

    def exec(self, request: cri.ExecRequest) -> str:
        """The URL of a session for this exec."""
        return self._url("exec", request)

    def attach(self, request: cri.AttachRequest) -> str:
        """The URL of a session for this attach."""
        return self._url("attach", request)

    def port_forward(self, request: cri.PortForwardRequest) -> str:
        """The URL of a session for these forwarded ports."""
        return self._url("portforward", request)

    def _url(self, path: str, request: Request) -> str:
        if not self._base:
            raise Unavailable("the streaming server is not listening")
        return f"{self._base}/{path}/{self._tickets.issue(path, request)}"

    # The server

    async def serve(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled, which ends all sessions; started once it listens.

        Raises OSError when it can't listen, InvalidArgument or FailedPrecondition when it has no certificate.
        """
        host = self._settings.stream_server_address or await to_thread.run_sync(_own_address)
        if self._settings.enable_tls_streaming:
            pair = self._settings.x509_key_pair_streaming
            self._tls = await to_thread.run_sync(server_context, pair, host)
        listeners = await anyio.create_tcp_listener(
            local_host=host, local_port=int(self._settings.stream_server_port or 0)
        )
        async with listeners, anyio.create_task_group() as tasks:
            sockets = [cast("SocketListener", listener) for listener in listeners.listeners]
            for listener in sockets:
                tasks.start_soon(self._accept, listener, tasks)
            self._base = self._base_url(sockets[0])
            log.info("streaming server listens", url=self._base)
            task_status.started()
            for name in _LAZY:
                await to_thread.run_sync(import_module, name)
            await anyio.sleep_forever()

    def _base_url(self, listener: SocketListener) -> str:
        address = listener.extra(SocketAttribute.local_address)  # noqa: S610  (no Django)
        host, port = address[0], address[1]
        bracketed = f"[{host}]" if ":" in str(host) else host
        return f"{'https' if self._tls else 'http'}://{bracketed}:{port}"

    async def _accept(self, listener: SocketListener, tasks: TaskGroup) -> None:
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                log.warning("no connection can be accepted", error=str(error))
                await anyio.sleep(_ACCEPT_PAUSE)
                continue
            tasks.start_soon(self._connected, stream)

    async def _connected(self, stream: SocketStream) -> None:
        """One client, from its connection to its end; whatever goes wrong is its own affair."""
        try:
            async with stream:
                await self._serve(stream)
        except LOST:
            log.debug("a streaming client is gone")
        except Exception:
            log.exception("a streaming session failed")

    async def _serve(self, stream: SocketStream) -> None:
        _keep_alive(stream)
        session = None
        with self._handshake():
            session = await self._begun(stream)
        if session is not None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._end_silent, session.transport)
                await session.serve(self._runtime)
                tasks.cancel_scope.cancel()

    @contextmanager
    def _handshake(self) -> Iterator[None]:
        """The block is a client that has yet to show a token."""
        if len(self._handshakes) >= _HANDSHAKES:
            next(iter(self._handshakes)).cancel()
        with anyio.move_on_after(_HANDSHAKE_SECONDS) as scope:
            self._handshakes[scope] = None
            try:
                yield
            finally:
                del self._handshakes[scope]

    async def _begun(self, stream: SocketStream) -> Session | None:
        """The session that the client's request is for; None when it was refused."""
        transport = Transport(await self._secured(stream))
        exchange = Exchange(transport)
        try:
            head = await exchange.head()
            request = self._granted(head)
            upgrade = upgrade_for(head, ports=isinstance(request, cri.PortForwardRequest))
            return Session(transport, await exchange.switch(upgrade.headers), request, upgrade)
        except Refusal as refusal:
            await exchange.refuse(refusal)
            await transport.send_eof()
            return None

    async def _secured(self, stream: SocketStream) -> ByteStream:
        if self._tls is None:
            return stream
        try:
            return await TLSStream.wrap(stream, server_side=True, ssl_context=self._tls, standard_compatible=False)
        except SSLError as error:
            raise anyio.BrokenResourceError from error

    def _granted(self, head: Head) -> Request:
        _, _, rest = head.path.partition("/")
        path, _, token = rest.partition("/")
        if path in _PATHS and head.method not in _METHODS:
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, headers=(("Allow", ", ".join(_METHODS)),))
        request = self._tickets.redeem(path, token) if path in _PATHS else None
        if request is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "404 page not found")
        return request

    async def _end_silent(self, transport: Transport) -> None:
        if timeout := self._settings.stream_idle_timeout:
            await transport.silent(timeout)
            log.info("a streaming session was idle for too long", seconds=timeout)
            await transport.cut()


def _keep_alive(stream: SocketStream) -> None:
    """Notice a client whose machine is gone. The times are those of Go's servers, so containerd's."""
    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610  (no Django)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        raw.setsockopt(socket.IPPROTO_TCP, option, value)


def _own_address() -> str:
    """The address that this machine is known by: that of its default route, else loopback. Nothing is sent."""
    for family, elsewhere in (
        (socket.AF_INET, "192.0.2.1"),
        (socket.AF_INET6, "2001:db8::1"),
    ):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            return str(probe.getsockname()[0])
    return "127.0.0.1"
