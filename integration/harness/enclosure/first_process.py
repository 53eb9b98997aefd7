"""Pid 1 of a node: sets the node up, reaps what is orphaned, and ends it all when the harness is gone.

When the first process of a pid namespace ends, the kernel kills all others in it (pid_namespaces(7)); with the last
of them go the mount and network namespaces and everything that was mounted or connected in there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
from typing import TYPE_CHECKING, Final

from integration.harness.enclosure import file_systems

if TYPE_CHECKING:
    from integration.harness.enclosure.plan import Plan

_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 0x1
_SYSCTLS: Final = {"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1"}


def set_up(plan: Plan) -> None:
    """Make the calling process's namespaces into a node."""
    os.umask(0o022)
    file_systems.enter(plan)
    socket.sethostname(plan.name)
    if plan.own_network:
        _loopback_up()
        for name, value in _SYSCTLS.items():
            with contextlib.suppress(FileNotFoundError):  # bridge/: only once the kernel's br_netfilter is there
                _write(f"/proc/sys/{name}", value)
        _write("/etc/hosts", f"127.0.0.1 localhost {plan.name}\n::1 localhost ip6-localhost\n")
        _write("/etc/resolv.conf", "nameserver 127.0.0.1\n")  # nobody answers there, at once
    _write("/etc/hostname", f"{plan.name}\n")


def reap_until_closed(lifeline: int) -> None:
    """Wait for children, whosever they were, until the other end of the pipe `lifeline` is closed."""
    wakeup, alarm = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    while True:
        _reap()
        ready, _, _ = select.select([lifeline, wakeup], [], [])
        if wakeup in ready:
            os.read(wakeup, 4096)
        if lifeline in ready and not os.read(lifeline, 4096):
            return


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack("16sh22x", b"lo", 0))
        flags = struct.unpack_from("16sh", request)[1] | _IFF_UP
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags))


def _write(path: str, text: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if os.path.islink(path):  # never through a link into a file system that is not ours
            os.unlink(path)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
