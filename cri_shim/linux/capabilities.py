"""Capabilities by name: those that the kernel knows, and those we have (capabilities(7))."""

from __future__ import annotations

from typing import Final

NAMES: Final = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
"""By number, as in linux/capability.h."""


def known() -> tuple[str, ...]:
    """All that both this kernel and we know, by number."""
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        return NAMES[: int(file.read()) + 1]


def effective(pid: int | str = "self") -> frozenset[str]:
    """The effective capabilities of process `pid`; numbers without a name of ours are left out."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        line = next(line for line in file if line.startswith("CapEff:"))
    return from_mask(int(line.split()[1], 16))


def from_mask(mask: int) -> frozenset[str]:
    """The names of the bits set in a mask such as /proc/<pid>/status shows."""
    return frozenset(name for number, name in enumerate(NAMES) if mask >> number & 1)
