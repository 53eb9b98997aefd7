"""Which system calls a container may make: none, a profile of the node's, or the default one, by capability and kernel.

Source: the CRI's SecurityProfile; what the default allows is what containerd's `contrib/seccomp` allows.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import msgspec

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.seccomp_names import ALLOWED
from cri_shim.oci.spec import Seccomp, SeccompArgument, SeccompRule, from_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.host_view import HostView

ALLOW, ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
EQUAL, LESS, GREATER, MASKED_EQUAL = "SCMP_CMP_EQ", "SCMP_CMP_LT", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"
LOCALHOST = "localhost/"
_DEFAULT_NAMES = ("runtime/default", "docker/default")
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


def profile(
    wanted: cri.SecurityProfile | None,
    deprecated: str,
    unset: str,
    facts: NodeFacts,
    bounding: Sequence[str],
    host: HostView,
) -> Seccomp | None:
    """The filter that a security context asks for; None for unconfined.

    `deprecated` is the old string field, `unset` the setting for contexts that ask for nothing. Raises InvalidArgument
    for a profile that can't be had.
    """
    asked = wanted or from_string(deprecated or unset)
    if asked is None or asked.profile_type == cri.SecurityProfileProfileType.Unconfined:
        if asked is not None and asked.localhost_ref:
            raise InvalidArgument("security_context.seccomp: localhost_ref is for profile_type Localhost only")
        return None
    if not facts.seccomp:
        raise InvalidArgument("security_context.seccomp: the kernel has no seccomp: only Unconfined can be had")
    if asked.profile_type == cri.SecurityProfileProfileType.Localhost:
        return _localhost(asked.localhost_ref, host)
    if asked.profile_type != cri.SecurityProfileProfileType.RuntimeDefault:
        raise InvalidArgument(f"security_context.seccomp.profile_type {int(asked.profile_type)} is unknown")
    if asked.localhost_ref:
        raise InvalidArgument("security_context.seccomp: localhost_ref is for profile_type Localhost only")
    return default_profile(facts, bounding)


def from_string(text: str) -> cri.SecurityProfile | None:
    """A profile as the deprecated fields and the settings spell one; None for ""."""
    kinds = cri.SecurityProfileProfileType
    if not text:
        return None
    if text in _DEFAULT_NAMES:
        return cri.SecurityProfile(profile_type=kinds.RuntimeDefault)
    if text == "unconfined":
        return cri.SecurityProfile(profile_type=kinds.Unconfined)
    if text.startswith(LOCALHOST):
        return cri.SecurityProfile(profile_type=kinds.Localhost, localhost_ref=text.removeprefix(LOCALHOST))
    raise InvalidArgument(f"seccomp profile {text!r} is unknown: use runtime/default, unconfined, or localhost/PATH")


def _localhost(reference: str, host: HostView) -> Seccomp:
    path = reference.removeprefix(LOCALHOST)
    try:
        return from_json(host.seccomp_profile(path), Seccomp)
    except OSError as error:
        raise InvalidArgument(
            f"security_context.seccomp.localhost_ref {reference!r} can't be read: {error.strerror or error}"
        ) from error
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"security_context.seccomp.localhost_ref {reference!r} is no profile: {error}") from error


def default_profile(facts: NodeFacts, bounding: Sequence[str]) -> Seccomp:
    """The default filter, for a process with these capabilities in its bounding set."""
    rules = [SeccompRule(list(ALLOWED), ALLOW), *_sockets(), *_personalities()]
    if facts.kernel >= _PTRACE_SAFE_KERNEL:
        rules.append(SeccompRule(["process_vm_readv", "process_vm_writev", "ptrace"], ALLOW))
    if facts.architecture in _BY_ARCHITECTURE:
        rules.append(SeccompRule(list(_BY_ARCHITECTURE[facts.architecture]), ALLOW))
    rules += [SeccompRule(list(_BY_CAPABILITY[name]), ALLOW) for name in bounding if name in _BY_CAPABILITY]
    if "CAP_SYS_ADMIN" not in bounding:
        rules += _no_new_namespaces(facts.architecture)
    return Seccomp(default_action=ERRNO, architectures=list(_ARCHITECTURES.get(facts.architecture, ())), syscalls=rules)


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
