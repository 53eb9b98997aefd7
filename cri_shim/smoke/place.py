"""Where an endpoint's runtime lives: its files and its network as they are reached from here.

Usually it shares our mount and network namespaces. If not (a node in a container, such as kind's, whose socket is used
from outside), both are reached through /proc of the process at the socket's other end.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import anyio
from anyio import to_thread

from cri_shim.errors import Unavailable
from cri_shim.linux import netns

_CONNECT_SECONDS: Final = 5.0
_UCRED: Final = struct.Struct("3i")  # pid, uid, gid: SO_PEERCRED of unix(7)


@dataclass(frozen=True)
class Place:
    """`root` is where the runtime's root directory is, `network` its network namespace's file; "" for ours."""

    root: str = ""
    network: str = ""
    pid: str = "self"

    def path(self, path: str) -> anyio.Path:
        """Where the runtime's absolute `path` is; symbolic links in it lead into our own files."""
        return anyio.Path(self.root + path)

    async def connect(self, host: str, port: int) -> anyio.abc.SocketStream:
        """A TCP connection from the runtime's network. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with ExitStack() as made:
            connection = await netns.tcp_socket(self.network, family, made)
            await asyncio.get_running_loop().sock_connect(connection, (host, port))
            try:
                stream = await anyio.abc.SocketStream.from_socket(connection)
            except ValueError as error:  # it is over already
                raise ConnectionResetError(f"{host}:{port}: the connection was reset at once") from error
            made.pop_all()
        return stream

    async def listen(self, host: str, port: int, made: ExitStack) -> socket.socket:
        """A TCP socket that listens in the runtime's network; `made` closes it. Raises OSError."""
        listener = await netns.tcp_socket(self.network, socket.AF_INET, made)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
        return listener

    async def namespace(self, kind: str) -> str:
        """The runtime's namespace of a kind (`net`, `pid`, …), as readlink(2) tells it of /proc/<pid>/ns."""
        return os.fspath(await anyio.Path(f"/proc/{self.pid}/ns/{kind}").readlink())


async def find(endpoint: str) -> Place:
    """The place of whoever serves `endpoint`, `unix://PATH`. Raises Unavailable when nobody does."""
    pid = await to_thread.run_sync(_peer, endpoint.removeprefix("unix://"))
    return await to_thread.run_sync(_seen, pid)


def _peer(path: str) -> int:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_CONNECT_SECONDS)
            client.connect(path)
            pid, _, _ = _UCRED.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    except OSError as error:
        raise Unavailable(f"unix://{path}: {error.strerror or error}; is a CRI runtime listening there?") from error
    return int(pid)


def _seen(pid: int) -> Place:
    """A process that is not to be seen from here (pid 0, or another user's) counts as one that shares all with us."""
    try:
        other = {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("mnt", "net")}
    except OSError:
        return Place()
    ours = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in other}
    return Place(
        root="" if other["mnt"] == ours["mnt"] else f"/proc/{pid}/root",
        network="" if other["net"] == ours["net"] else f"/proc/{pid}/ns/net",
        pid=str(pid),
    )
