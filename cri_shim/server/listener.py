"""The Unix socket that kubelets dial: made by us, or handed over by systemd.

A socket file that nobody answers on is what a killed server left, and is replaced; one that somebody answers on is
somebody's. Source: sd_listen_fds(3) for socket activation.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass

from cri_shim.errors import AlreadyExists, InvalidArgument

SOCKET_MODE = 0o660
DIRECTORY_MODE = 0o711
_FIRST_PASSED_FD = 3
_BACKLOG = 128
_LONGEST_PATH = 107  # unix(7): sun_path, without its end


@dataclass(frozen=True)
class Listener:
    """A listening socket, and the path to unlink when it closes: "" where systemd owns it."""

    socket: socket.socket
    path: str = ""
    inode: int = 0

    def close(self) -> None:
        """Stop listening. A socket file of ours goes, unless another server has replaced it meanwhile."""
        self.socket.close()
        with suppress(FileNotFoundError):
            if self.path and os.lstat(self.path).st_ino == self.inode:
                os.unlink(self.path)


def open_listener(address: str, *, gid: int = 0, environment: dict[str, str] | None = None) -> Listener:
    """A socket that listens at `address` (`unix:///run/…` or a path), or the one that systemd has passed.

    Raises AlreadyExists when a server answers there, InvalidArgument for an address that is no Unix socket's. Blocks
    for as long as a connection to a Unix socket takes.
    """
    passed = passed_socket(os.environ if environment is None else environment)
    if passed is not None:
        return Listener(passed)
    path = socket_path(address)
    os.makedirs(os.path.dirname(path), DIRECTORY_MODE, exist_ok=True)
    _clear(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(path)
        if gid:
            os.chown(path, -1, gid)
        os.chmod(path, SOCKET_MODE)  # until it listens, nobody can connect, whatever the umask left
        listening.listen(_BACKLOG)
        listening.setblocking(False)  # noqa: FBT003  (the standard library's signature)
    except BaseException:
        listening.close()
        raise
    return Listener(listening, path, os.lstat(path).st_ino)


def socket_path(address: str) -> str:
    """The path in `address`; InvalidArgument for one that is not absolute, or longer than the kernel takes."""
    path = address.removeprefix("unix://")
    if not path.startswith("/"):
        raise InvalidArgument(f"listen address {address!r}: give unix:///PATH, the absolute path of a Unix socket")
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise InvalidArgument(
            f"listen address {address!r}: the path of a Unix socket has {_LONGEST_PATH} bytes at most"
        )
    return path


def passed_socket(environment: os._Environ[str] | dict[str, str]) -> socket.socket | None:
    """The listening socket that systemd started us with; None when it did not."""
    if environment.get("LISTEN_PID") != str(os.getpid()) or environment.get("LISTEN_FDS", "0") == "0":
        return None
    if environment["LISTEN_FDS"] != "1":
        raise InvalidArgument(
            f"systemd passed {environment['LISTEN_FDS']} sockets: the unit must have one ListenStream="
        )
    passed = socket.socket(fileno=_FIRST_PASSED_FD)
    if passed.family != socket.AF_UNIX or not passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        passed.close()
        raise InvalidArgument("systemd passed no listening Unix socket: the unit must have a ListenStream= with a path")
    passed.setblocking(False)  # noqa: FBT003  (the standard library's signature)
    os.set_inheritable(passed.fileno(), False)  # noqa: FBT003  (the standard library's signature)
    return passed


def _clear(path: str) -> None:
    """Remove a socket file that nobody answers on."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise AlreadyExists(f"{path} exists and is no socket: remove it, or listen at another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(FileNotFoundError):
                os.unlink(path)
            return
        except OSError as error:
            raise AlreadyExists(f"{path}: a server may be there, but does not answer: {error}") from error
    raise AlreadyExists(f"{path}: another server answers there: stop it, or listen at another path")
