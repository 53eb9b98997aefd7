"""The default system call filter: what it allows depends on the kernel, its architecture and the capabilities.

What it allows is what containerd's `contrib/seccomp` allows (2.4; older releases lack the newest calls, and allow
AF_ALG sockets). The rules are data: one a table row.
"""

from __future__ import annotations

import errno
from functools import lru_cache

from cri_shim.oci.linux_spec import Seccomp, SeccompArgument, SeccompRule
from cri_shim.oci.seccomp_names import ALLOWED

ALLOW, ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
EQUAL, LESS, GREATER, MASKED_EQUAL = "SCMP_CMP_EQ", "SCMP_CMP_LT", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"
_AF_ALG, _AF_VSOCK = 38, 40
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: no new namespaces without CAP_SYS_ADMIN
_NEW_NAMESPACES = 0x7E020000
_PTRACE_SAFE_KERNEL = (4, 8)  # before it, ptrace got round seccomp

_ARCHITECTURES = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "aarch64": ("SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64"),
    "s390x": ("SCMP_ARCH_S390", "SCMP_ARCH_S390X"),
    "riscv64": ("SCMP_ARCH_RISCV64",),
    "loongarch64": ("SCMP_ARCH_LOONGARCH64",),
}
_BY_ARCHITECTURE = {
    "x86_64": ("arch_prctl", "modify_ldt"),
    "i686": ("modify_ldt",),
    "aarch64": ("arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2", "breakpoint", "cacheflush", "set_tls"),
    "armv7l": ("arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2", "breakpoint", "cacheflush", "set_tls"),
    "ppc64le": ("sync_file_range2", "swapcontext"),
    "s390x": ("s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr"),
    "riscv64": ("riscv_flush_icache", "riscv_hwprobe"),
}
_BY_CAPABILITY = {
    "CAP_DAC_READ_SEARCH": ("open_by_handle_at",),
    "CAP_SYS_ADMIN": (
        "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie",
        "mount", "mount_setattr", "move_mount", "open_tree", "perf_event_open", "quotactl", "quotactl_fd",
        "setdomainname", "sethostname", "setns", "syslog", "umount", "umount2", "unshare",
    ),
    "CAP_SYS_BOOT": ("reboot",),
    "CAP_SYS_CHROOT": ("chroot",),
    "CAP_SYS_MODULE": ("delete_module", "init_module", "finit_module"),
    "CAP_SYS_PACCT": ("acct",),
    "CAP_SYS_PTRACE": ("kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace"),
    "CAP_SYS_RAWIO": ("iopl", "ioperm"),
    "CAP_SYS_TIME": ("settimeofday", "stime", "clock_settime", "clock_settime64"),
    "CAP_SYS_TTY_CONFIG": ("vhangup",),
    "CAP_SYS_NICE": ("get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"),
    "CAP_SYSLOG": ("syslog",),
    "CAP_BPF": ("bpf",),
    "CAP_PERFMON": ("perf_event_open",),
}  # fmt: skip


@lru_cache(maxsize=64)
def default_profile(kernel: tuple[int, int], architecture: str, bounding: tuple[str, ...]) -> Seccomp:
    """The filter for a kernel (its version, its `uname -m`) and a process with this bounding set."""
    rules = [SeccompRule(list(ALLOWED), ALLOW), *_sockets(), *_personalities()]
    if kernel >= _PTRACE_SAFE_KERNEL:
        rules.append(SeccompRule(["process_vm_readv", "process_vm_writev", "ptrace"], ALLOW))
    if architecture in _BY_ARCHITECTURE:
        rules.append(SeccompRule(list(_BY_ARCHITECTURE[architecture]), ALLOW))
    rules += [SeccompRule(list(_BY_CAPABILITY[name]), ALLOW) for name in bounding if name in _BY_CAPABILITY]
    if "CAP_SYS_ADMIN" not in bounding:
        rules += _no_new_namespaces(architecture)
    return Seccomp(default_action=ERRNO, architectures=list(_ARCHITECTURES.get(architecture, ())), syscalls=rules)


def _sockets() -> list[SeccompRule]:
    """Sockets of every family but AF_ALG, a way into the kernel, and AF_VSOCK, which reaches the hypervisor."""
    return [
        SeccompRule(["socket"], ALLOW, args=[SeccompArgument(0, value, op)])
        for value, op in ((_AF_ALG, LESS), (_AF_ALG + 1, EQUAL), (_AF_VSOCK, GREATER))
    ]


def _personalities() -> list[SeccompRule]:
    return [SeccompRule(["personality"], ALLOW, args=[SeccompArgument(0, value, EQUAL)]) for value in _PERSONALITIES]


def _no_new_namespaces(architecture: str) -> list[SeccompRule]:
    """`clone` without namespace flags; `clone3`, whose flags a filter can't see, as if the kernel didn't have it."""
    index = 1 if architecture.startswith("s390") else 0
    flags = SeccompArgument(index, _NEW_NAMESPACES, MASKED_EQUAL)
    return [SeccompRule(["clone"], ALLOW, args=[flags]), SeccompRule(["clone3"], ERRNO, errno_ret=errno.ENOSYS)]
