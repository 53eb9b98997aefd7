from __future__ import annotations

import errno

import pytest

from cri_shim.oci.defaults import CAPABILITIES
from cri_shim.oci.linux_spec import Seccomp, SeccompArgument, SeccompRule
from cri_shim.oci.seccomp_default import ALLOW, ERRNO, default_profile
from cri_shim.oci.seccomp_names import ALLOWED


def made(*bounding: str, kernel: tuple[int, int] = (6, 12), architecture: str = "x86_64") -> Seccomp:
    return default_profile(kernel, architecture, bounding)


def rules(profile: Seccomp, name: str) -> list[SeccompRule]:
    return [rule for rule in profile.syscalls if name in rule.names]


def decision(profile: Seccomp, name: str, argument: int) -> str:
    """What a filter built from the profile does on a call whose arguments are all `argument`."""
    compare = {
        "SCMP_CMP_EQ": lambda item: argument == item.value,
        "SCMP_CMP_LT": lambda item: argument < item.value,
        "SCMP_CMP_GT": lambda item: argument > item.value,
        "SCMP_CMP_MASKED_EQ": lambda item: argument & item.value == item.value_two,
    }
    for rule in rules(profile, name):
        if all(compare[item.op](item) for item in rule.args):
            return rule.action
    return profile.default_action


def test_names_are_each_there_once() -> None:
    assert len(ALLOWED) == len(set(ALLOWED)) == 363


@pytest.mark.parametrize(
    "name", ["read", "execve", "openat2", "mseal", "statmount", "uretprobe", "futex_waitv", "socketpair", "fchmodat2"]
)
def test_everyday_calls_are_allowed(name: str) -> None:
    assert decision(made(), name, 0) == ALLOW


@pytest.mark.parametrize(
    "name",
    [
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "keyctl",
        "add_key",
        "kexec_load",
        "userfaultfd",
        "swapon",
    ],
)
def test_calls_into_the_depths_of_the_kernel_are_not(name: str) -> None:
    profile = made(*CAPABILITIES, "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_MODULE")
    assert decision(profile, name, 0) == ERRNO


@pytest.mark.parametrize(
    ("family", "expected"),
    [(1, ALLOW), (2, ALLOW), (16, ALLOW), (37, ALLOW), (38, ERRNO), (39, ALLOW), (40, ERRNO), (44, ALLOW)],
)
def test_sockets_are_of_every_family_but_alg_and_vsock(family: int, expected: str) -> None:
    assert decision(made(), "socket", family) == expected


@pytest.mark.parametrize(
    ("persona", "expected"),
    [(0, ALLOW), (8, ALLOW), (0x20000, ALLOW), (0x20008, ALLOW), (0xFFFFFFFF, ALLOW), (0x0040000, ERRNO)],
)
def test_personality_can_not_switch_off_address_randomisation(persona: int, expected: str) -> None:
    assert decision(made(), "personality", persona) == expected


def test_ptrace_is_allowed_from_the_kernel_on_where_it_does_not_get_round_the_filter() -> None:
    assert decision(made(kernel=(4, 7)), "ptrace", 0) == ERRNO
    assert decision(made(kernel=(4, 8)), "ptrace", 0) == ALLOW
    assert decision(made("CAP_SYS_PTRACE", kernel=(3, 10)), "ptrace", 0) == ALLOW


@pytest.mark.parametrize(
    ("architecture", "names", "call"),
    [
        ("x86_64", ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], "arch_prctl"),
        ("aarch64", ["SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64"], "set_tls"),
        ("s390x", ["SCMP_ARCH_S390", "SCMP_ARCH_S390X"], "s390_runtime_instr"),
        ("riscv64", ["SCMP_ARCH_RISCV64"], "riscv_hwprobe"),
        ("ppc64le", [], "swapcontext"),
        ("i686", [], "modify_ldt"),
        ("armv7l", [], "cacheflush"),
    ],
)
def test_an_architecture_has_its_own_calls(architecture: str, names: list[str], call: str) -> None:
    profile = made(architecture=architecture)
    assert profile.architectures == names
    assert decision(profile, call, 0) == ALLOW
    assert decision(made(architecture="loongarch64"), call, 0) == ERRNO


@pytest.mark.parametrize(
    ("capability", "calls"),
    [
        ("CAP_DAC_READ_SEARCH", ["open_by_handle_at"]),
        ("CAP_SYS_ADMIN", ["mount", "umount2", "unshare", "setns", "bpf", "clone3"]),
        ("CAP_SYS_BOOT", ["reboot"]),
        ("CAP_SYS_CHROOT", ["chroot"]),
        ("CAP_SYS_MODULE", ["init_module", "finit_module"]),
        ("CAP_SYS_PACCT", ["acct"]),
        ("CAP_SYS_PTRACE", ["kcmp", "pidfd_getfd"]),
        ("CAP_SYS_RAWIO", ["iopl"]),
        ("CAP_SYS_TIME", ["settimeofday", "clock_settime64"]),
        ("CAP_SYS_TTY_CONFIG", ["vhangup"]),
        ("CAP_SYS_NICE", ["mbind", "set_mempolicy_home_node"]),
        ("CAP_SYSLOG", ["syslog"]),
        ("CAP_BPF", ["bpf"]),
        ("CAP_PERFMON", ["perf_event_open"]),
    ],
)
def test_a_capability_brings_the_calls_that_it_is_for(capability: str, calls: list[str]) -> None:
    for call in calls:
        assert decision(made(capability), call, 0) == ALLOW
        assert decision(made(), call, 0) == ERRNO


def test_without_sys_admin_a_process_makes_no_namespaces() -> None:
    thread, new_user, new_net = 0x00010000, 0x10000000, 0x40000000
    assert decision(made(), "clone", thread) == ALLOW
    assert decision(made(), "clone", new_user) == ERRNO
    assert decision(made(), "clone", thread | new_net) == ERRNO
    assert rules(made(), "clone3") == [SeccompRule(["clone3"], ERRNO, errno_ret=errno.ENOSYS)]
    assert decision(made("CAP_SYS_ADMIN"), "clone", new_user) == ALLOW


def test_on_s390_the_flags_of_clone_are_the_second_argument() -> None:
    (rule,) = rules(made(architecture="s390x"), "clone")
    assert rule.args == [SeccompArgument(1, 0x7E020000, "SCMP_CMP_MASKED_EQ")]


def test_rules_for_capabilities_come_in_the_order_of_the_bounding_set() -> None:
    profile = made("CAP_SYS_CHROOT", "CAP_KILL", "CAP_SYS_BOOT")
    assert [rule.names for rule in profile.syscalls if rule.names[0] in ("chroot", "reboot")] == [
        ["chroot"],
        ["reboot"],
    ]
