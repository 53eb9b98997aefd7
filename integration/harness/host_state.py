"""What of the host a node could have changed, for the proof that it hasn't: taken before and after, and compared."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from cri_shim.linux import cgroups, mountinfo
from integration.harness import cache, leaks

if TYPE_CHECKING:
    from collections.abc import Iterator

HostState = dict[str, frozenset[str]]


def take() -> HostState:
    """The host's mounts, network, cgroups, scratch directories, and processes in namespaces of their own."""
    return {
        "mounts": frozenset(f"{mount.target} {mount.fstype} {mount.source}" for mount in mountinfo.read()),
        "processes in other namespaces": frozenset(_elsewhere()),
        "network interfaces": frozenset(os.listdir("/sys/class/net")),
        "packet filter": frozenset(_packet_filter()),
        "named network namespaces": frozenset(_names("/run/netns")),
        "sysctls": frozenset(_sysctls()),
        "cgroups": frozenset(directory for directory, _, _ in os.walk(cgroups.ROOT)),
        "scratch directories": frozenset(_names(str(cache.cache_directory() / "nodes"))),
    }


def difference(before: HostState, after: HostState) -> str:
    """What has changed, as text; empty when nothing has."""
    return leaks.difference(before, after)


def _names(directory: str) -> list[str]:
    return os.listdir(directory) if os.path.isdir(directory) else []


def _elsewhere() -> Iterator[str]:
    """Processes with another pid, network or mount namespace than ours: a node's, or one forgotten."""
    kinds = ("pid", "net", "mnt")
    ours = [os.readlink(f"/proc/self/ns/{kind}") for kind in kinds]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):  # not ours, then
            if [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in kinds] != ours:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    yield f"{pid} {file.read().replace(bytes(1), b' ').decode(errors='replace').strip()}"


def _packet_filter() -> Iterator[str]:
    for program in (["iptables-save"], ["nft", "list", "ruleset"]):
        if shutil.which(program[0]):
            said = subprocess.run(program, capture_output=True, text=True, check=False).stdout
            yield from (re.sub(r"\[\d+:\d+\]", "", line) for line in said.splitlines() if not line.startswith("#"))


def _sysctls() -> Iterator[str]:
    for name in ("net/ipv4/ip_forward", "kernel/hostname", "net/bridge/bridge-nf-call-iptables"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/sys/{name}", encoding="utf-8") as file:
            yield f"{name} = {file.read().strip()}"
