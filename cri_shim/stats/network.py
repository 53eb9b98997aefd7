"""What has gone over a pod's network interfaces: its network namespace's /proc/net/dev (proc_pid_net(5))."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cri_shim.linux import netns, own_thread

_COLUMNS: Final = 16
LOOPBACK: Final = "lo"


@dataclass(frozen=True, slots=True)
class Traffic:
    """One direction: bytes, packets, errors and dropped packets."""

    bytes: int
    packets: int
    errors: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface's traffic since it was made."""

    name: str
    received: Traffic
    sent: Traffic


def parse(table: str) -> tuple[Interface, ...]:
    """The interfaces of a /proc/net/dev file but `lo`, in the kernel's order."""
    found = []
    for line in table.splitlines():
        name, colon, rest = line.rpartition(":")  # a name may hold a colon, the numbers can't
        numbers = [int(word) for word in rest.split() if word.isdecimal()]
        if not colon or len(numbers) != _COLUMNS or (name := name.strip()) == LOOPBACK:
            continue
        found.append(Interface(name, Traffic(*numbers[:4]), Traffic(*numbers[8:12])))
    return tuple(found)


def interfaces(pid: int, netns_path: str) -> tuple[Interface, ...]:
    """The interfaces of a pod, by a process that is in its network namespace, else by entering that; blocks.

    Raises NotFound when both are gone, OSError when they can't be read.
    """
    if pid and _is_in(pid, netns_path):
        with suppress(OSError):  # it has ended meanwhile
            return parse(_read(f"/proc/{pid}/net/dev"))
    return own_thread.call(_inside, netns_path)


def _is_in(pid: int, netns_path: str) -> bool:
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/ns/net"), os.stat(netns_path))
    except OSError:
        return False


def _inside(netns_path: str) -> tuple[Interface, ...]:
    netns.enter(netns_path)
    return parse(_read("/proc/thread-self/net/dev"))


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def default_interface(found: tuple[Interface, ...]) -> Interface | None:
    """The one that the kubelet takes for the pod's own: eth0, else the first."""
    return next((interface for interface in found if interface.name == "eth0"), found[0] if found else None)
