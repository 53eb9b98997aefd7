"""What specs depend on of this node, read from /proc, /sys and the kernel."""

from __future__ import annotations

import os
import platform
import re

from cri_shim.linux import capabilities, cgroups, mountinfo
from cri_shim.oci.facts import NodeFacts

_V1_SWAP = "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes"
_V1_HUGETLB = "/sys/fs/cgroup/hugetlb"
_V2_ROOT = "/sys/fs/cgroup"
_APPARMOR = "/sys/kernel/security/apparmor"
_APPARMOR_ENABLED = "/sys/module/apparmor/parameters/enabled"
_APPARMOR_PARSER = "/sbin/apparmor_parser"
_SHARED_OPTIONS = ("nsdelegate", "memory_recursiveprot")
_WHOLE_ID_MAP = ["0", "0", "4294967295"]


def gather() -> NodeFacts:
    """The node as it is now. Blocks for some reads of kernel files."""
    unified = cgroups.unified()
    effective = capabilities.effective()
    return NodeFacts(
        kernel=kernel_version(os.uname().release),
        architecture=platform.machine(),
        hostname=os.uname().nodename,
        unified_cgroups=unified,
        swap_controller=_swap(unified=unified),
        hugetlb_controller=_hugetlb(unified=unified),
        effective_capabilities=tuple(name for name in capabilities.known() if name in effective),
        oom_score_adj=int(_read("/proc/self/oom_score_adj") or 0),
        seccomp="Seccomp:" in _read("/proc/self/status"),
        apparmor=_apparmor(),
        in_user_namespace=_read("/proc/self/uid_map").split() != _WHOLE_ID_MAP,
        cgroup_mount_options=_cgroup_options() if unified else (),
    )


def kernel_version(release: str) -> tuple[int, int]:
    """The first two numbers of `uname -r`; (0, 0) for what has none."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _read(path: str) -> str:
    """The file's text; "" where there is none, which is how the kernel says that it hasn't the feature."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _swap(*, unified: bool) -> bool:
    if not unified:
        return os.path.exists(_V1_SWAP)
    return os.path.exists(os.path.join(_V2_ROOT, cgroups.own_group().lstrip("/"), "memory.swap.max"))


def _hugetlb(*, unified: bool) -> bool:
    """A controller of v1 is of use where it is mounted, whatever the kernel has."""
    return "hugetlb" in cgroups.controllers() if unified else os.path.isdir(_V1_HUGETLB)


def _apparmor() -> bool:
    enabled = _read(_APPARMOR_ENABLED).startswith("Y")
    in_container = bool(os.environ.get("container"))  # noqa: SIM112  (the name that container managers set)
    return enabled and not in_container and os.path.isdir(_APPARMOR) and os.path.exists(_APPARMOR_PARSER)


def _cgroup_options() -> tuple[str, ...]:
    """The host's options of the cgroup mount, which a mount of the same file system must not take away."""
    for point in mountinfo.read():
        if point.target == _V2_ROOT:
            return tuple(option for option in point.super_options if option in _SHARED_OPTIONS)
    return ()
