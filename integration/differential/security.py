"""What a process may do: privileges, capabilities, filters, labels, and what it sees of /proc."""

from __future__ import annotations

from cri_shim.api.runtime import v1 as cri
from integration.differential.case import PRIVILEGED, Capabilities, Context, case, deprecated, device, mount, number
from integration.differential.nodes import SECCOMP

Kind = cri.SecurityProfileProfileType
Profile = cri.SecurityProfile
MASKED = ["/proc/asound", "/proc/acpi", "/proc/kcore"]
READ_ONLY = ["/proc/bus", "/proc/sys"]


def capable(**fields: list[str]) -> Context:
    return Context(capabilities=Capabilities(**fields))


def filtered(*added: str) -> Context:
    """With the default filter."""
    return Context(
        seccomp=Profile(profile_type=Kind.RuntimeDefault), capabilities=Capabilities(add_capabilities=list(added))
    )


def seccomp(kind: Kind, reference: str = "") -> Context:
    return Context(seccomp=Profile(profile_type=kind, localhost_ref=reference))


def apparmor(kind: Kind, reference: str = "") -> Context:
    return Context(apparmor=Profile(profile_type=kind, localhost_ref=reference))


# Every capability that opens a door of the default filter, one at a time.
DOORS = (
    "DAC_READ_SEARCH", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO",
    "SYS_TIME", "SYS_TTY_CONFIG", "SYS_NICE", "SYSLOG", "BPF", "PERFMON",
)  # fmt: skip

CASES = (
    # ── capabilities ────────────────────────────────────────────────────────────────────────────────────────────────
    case("capabilities that say nothing", capable()),
    case("capabilities added", capable(add_capabilities=["net_admin", "CAP_SYS_TIME"])),
    case("a capability added that is there", capable(add_capabilities=["CHOWN", "NET_RAW"])),
    case("capabilities dropped", capable(drop_capabilities=["MKNOD", "cap_kill"])),
    case(
        "capabilities added and dropped", capable(add_capabilities=["NET_ADMIN"], drop_capabilities=["MKNOD", "KILL"])
    ),
    case("the same capability added and dropped", capable(add_capabilities=["BPF"], drop_capabilities=["BPF"])),
    case("all capabilities", capable(add_capabilities=["ALL"])),
    case("all capabilities in small letters, and one", capable(add_capabilities=["all", "KILL"])),
    case("all capabilities but one", capable(add_capabilities=["ALL"], drop_capabilities=["sys_admin"])),
    case("no capabilities", capable(drop_capabilities=["ALL"])),
    case("no capabilities but one", capable(add_capabilities=["chown"], drop_capabilities=["all"])),
    case("all capabilities added and dropped", capable(add_capabilities=["ALL"], drop_capabilities=["ALL"])),
    case("a capability that there isn't", capable(add_capabilities=["bogus"], drop_capabilities=["nonsense"])),
    case("ambient capabilities", capable(add_ambient_capabilities=["chown"])),
    case(
        "capabilities for a user", Context(run_as_user=number(7), capabilities=Capabilities(add_capabilities=["BPF"]))
    ),
    # ── privileged ──────────────────────────────────────────────────────────────────────────────────────────────────
    case("privileged", Context(privileged=True), pod=PRIVILEGED),
    case("not privileged in a pod that is", pod=PRIVILEGED),
    case("privileged in a pod that isn't", Context(privileged=True)),
    case(
        "privileged, but with everything else, too",
        Context(
            privileged=True,
            readonly_rootfs=True,
            no_new_privs=True,
            masked_paths=MASKED,
            readonly_paths=READ_ONLY,
            seccomp=Profile(profile_type=Kind.RuntimeDefault),
            capabilities=Capabilities(drop_capabilities=["ALL"]),
            run_as_user=number(7),
        ),
        pod=PRIVILEGED,
        devices=[device("/dev/nothing")],
        mounts=[mount("/sys", "/sys", readonly=True)],
    ),
    case(
        "privileged with a filter of the node's",
        Context(privileged=True, seccomp=Profile(profile_type=Kind.Localhost, localhost_ref=SECCOMP)),
        pod=PRIVILEGED,
    ),
    # ── root, privileges, /proc ─────────────────────────────────────────────────────────────────────────────────────
    case("a read-only root", Context(readonly_rootfs=True)),
    case("no new privileges", Context(no_new_privs=True)),
    case("masked paths", Context(masked_paths=MASKED)),
    case("read-only paths", Context(readonly_paths=READ_ONLY)),
    case("masked and read-only paths", Context(masked_paths=MASKED, readonly_paths=READ_ONLY)),
    # ── seccomp ─────────────────────────────────────────────────────────────────────────────────────────────────────
    case("no filter", seccomp(Kind.Unconfined)),
    case("the default filter", seccomp(Kind.RuntimeDefault)),
    *(case(f"the default filter with {name}", filtered(name)) for name in DOORS),
    case("the default filter with several capabilities", filtered("SYS_ADMIN", "SYS_TIME", "CAP_SYS_BOOT", "SYSLOG")),
    case("the default filter with all capabilities", filtered("ALL")),
    case(
        "the default filter without capabilities",
        Context(
            seccomp=Profile(profile_type=Kind.RuntimeDefault), capabilities=Capabilities(drop_capabilities=["ALL"])
        ),
    ),
    case("a filter of the node's", seccomp(Kind.Localhost, SECCOMP)),
    case("a filter of the node's, by its old prefix", seccomp(Kind.Localhost, f"localhost/{SECCOMP}")),
    case("a filter that isn't there", seccomp(Kind.Localhost, "/nope.json")),
    case("a filter that is no filter", seccomp(Kind.Localhost, "/etc/hostname")),
    case("a filter of the node's without a name", seccomp(Kind.Localhost)),
    case("a filter with a name, but the default", seccomp(Kind.RuntimeDefault, SECCOMP)),
    case("no filter, but a name", seccomp(Kind.Unconfined, SECCOMP)),
    case("an unknown kind of filter", seccomp(Kind(7))),
    *(
        case(f"the old string {text!r} for a filter", deprecated(Context, seccomp_profile_path=text))
        for text in ("runtime/default", "docker/default", "unconfined", f"localhost/{SECCOMP}", "localhost/", "zzz")
    ),
    case(
        "the new field before the old string",
        deprecated(Context, seccomp=Profile(profile_type=Kind.Unconfined), seccomp_profile_path="runtime/default"),
    ),
    # ── AppArmor, SELinux: what happens on a kernel without ─────────────────────────────────────────────────────────
    case("AppArmor's default", apparmor(Kind.RuntimeDefault)),
    case("no AppArmor", apparmor(Kind.Unconfined)),
    case("an AppArmor profile of the node's", apparmor(Kind.Localhost, "some-profile")),
    *(
        case(f"the old string {text!r} for AppArmor", deprecated(Context, apparmor_profile=text))
        for text in ("runtime/default", "unconfined", "localhost/some-profile", "zzz")
    ),
    case(
        "an SELinux label", Context(selinux_options=cri.SeLinuxOption(user="u", role="r", type="t", level="s0:c1,c2"))
    ),
    case("an SELinux level that is none", Context(selinux_options=cri.SeLinuxOption(level="bad"))),
)
