"""Network namespaces of pods: made, kept by a bind mount on a file, looked at, removed.

A namespace is born in a thread of its own, since unshare(2) moves the calling thread; the file's mount then keeps it
without any process. Path and file are like those of containerd's `pkg/netns` (and of the CNI project's test tools),
so that pods can be handed over. The mount spreads to other mount namespaces as the directory's propagation has it:
`/` is shared on systemd's machines, and nothing is changed about that.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import socket
import struct
import threading
from typing import TYPE_CHECKING, Final

from cri_shim import errors
from cri_shim.linux import own_thread, pinned, syscalls

if TYPE_CHECKING:
    from contextlib import ExitStack

_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_SIOCGIFADDR: Final = 0x8915
_IFF_UP: Final = 0x1
_IFREQ: Final = "16sh22x"  # struct ifreq with ifr_flags (netdevice(7)): 40 bytes


def new_path(directory: str) -> str:
    """A path in `directory` that no namespace has: `cni-` and 16 random bytes, grouped as in a UUID."""
    text = secrets.token_hex(16)
    groups = (text[:8], text[8:12], text[12:16], text[16:20], text[20:])
    return os.path.join(directory, "cni-" + "-".join(groups))


async def create(path: str) -> None:
    """Make a network namespace, its `lo` up, kept at `path`; missing directories are made (0755).

    Raises `errors.AlreadyExists` when there is a file, and `OSError` when the kernel refuses; nothing is left then.
    """
    await own_thread.call_async(_create, path)


async def remove(path: str) -> None:
    """Let go of the namespace and remove its file; a missing or half-removed one is fine.

    Processes inside keep it alive; it ends with the last of them.
    """
    await own_thread.call_async(pinned.unpin, path)


async def tcp_socket(path: str, family: socket.AddressFamily, made: ExitStack) -> socket.socket:
    """A TCP socket of the namespace at `path`, "" for our own; non-blocking, not connected, closed by `made`.

    Raises `errors.NotFound` when there is no such namespace, `OSError` when it knows no such addresses.
    """
    if not path:
        return _tcp_socket(family, made)
    return await own_thread.call_async(_tcp_socket_in, path, family, made)


def _tcp_socket_in(path: str, family: socket.AddressFamily, made: ExitStack) -> socket.socket:
    enter(path)
    return _tcp_socket(family, made)


def _tcp_socket(family: socket.AddressFamily, made: ExitStack) -> socket.socket:
    return made.enter_context(socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC))


def is_netns(path: str) -> bool:
    """Whether `path` is a namespace's file, not a plain one left behind, or nothing at all."""
    try:
        return syscalls.filesystem_type(path) in (syscalls.NSFS_MAGIC, syscalls.PROC_MAGIC)
    except FileNotFoundError:
        return False


async def loopback_up(path: str) -> tuple[str, ...]:
    """Bring `lo` up in the namespace at `path` and return its addresses, `("127.0.0.1", "::1")` as a rule.

    Raises `errors.NotFound` when there is no such namespace.
    """
    return await own_thread.call_async(bring_loopback_up, path)


def _create(path: str) -> None:
    syscalls.unshare(syscalls.CLONE_NEWNET)
    _set_up("lo")
    pinned.pin(f"/proc/self/task/{threading.get_native_id()}/ns/net", path)


def bring_loopback_up(path: str) -> tuple[str, ...]:
    """`loopback_up` for a thread of its own, which is in the namespace from then on."""
    enter(path)
    _set_up("lo")
    return tuple(_loopback_addresses())


def enter(path: str) -> None:
    """Move the calling thread, one of its own, into the namespace; `errors.NotFound` when there is none at `path`."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise errors.NotFound(f"network namespace {path} does not exist") from error
    try:
        syscalls.setns(fd, syscalls.CLONE_NEWNET)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise errors.NotFound(f"{path} is not a network namespace") from error
        raise
    finally:
        os.close(fd)


def _set_up(interface: str) -> None:
    """`ip link set <interface> up` for the calling thread's namespace, by the ioctls of netdevice(7)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        name = interface.encode()
        answer = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack(_IFREQ, name, 0))
        _, flags = struct.unpack(_IFREQ, answer)
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack(_IFREQ, name, flags | _IFF_UP))


def _loopback_addresses() -> list[str]:
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        answer = fcntl.ioctl(control, _SIOCGIFADDR, struct.pack(_IFREQ, b"lo", 0))
        found.append(socket.inet_ntoa(answer[20:24]))
    with contextlib.suppress(FileNotFoundError), open("/proc/thread-self/net/if_inet6", encoding="ascii") as table:
        found.extend(_inet6(line.split()[0]) for line in table if line.split()[-1] == "lo")
    return found


def _inet6(digits: str) -> str:
    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))
