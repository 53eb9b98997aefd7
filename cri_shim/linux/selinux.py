"""Whether this node's kernel has SELinux, selinux(8), and what that means for `enable_selinux`."""

from __future__ import annotations

from typing import Final

import structlog

from cri_shim import errors
from cri_shim.linux import syscalls

log = structlog.get_logger(__name__)

FILE_SYSTEM: Final = "/sys/fs/selinux"
_CURRENT: Final = "/proc/self/attr/current"
_MAGIC: Final = 0xF97CFF8C  # SELINUX_MAGIC of linux/magic.h


def enabled(file_system: str = FILE_SYSTEM) -> bool:
    """Whether the kernel has SELinux, and a policy is loaded."""
    try:
        if syscalls.filesystem_type(file_system) != _MAGIC:
            return False
        with open(_CURRENT, encoding="utf-8") as file:
            return file.read().rstrip("\0\n") != "kernel"
    except OSError:
        return False


def check(*, wanted: bool, there: bool) -> None:
    """Raise FailedPrecondition where labels are wanted and would count, for none are made yet; warn where none can be.

    Started nevertheless, containers would run unconfined that their operator believes to be confined.
    """
    if not wanted:
        return
    if there:
        raise errors.FailedPrecondition(
            "enable_selinux = true: this version of cri-shim gives containers no SELinux labels, so it doesn't start "
            "on a node with SELinux: set it to false to run them without"
        )
    log.warning("enable_selinux has no effect: the kernel has no SELinux", looked_at=FILE_SYSTEM)
