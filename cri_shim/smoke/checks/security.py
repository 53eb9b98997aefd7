"""What a container's processes may do: users, capabilities, system calls, paths."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.linux import capabilities
from cri_shim.smoke.check import Capability
from cri_shim.smoke.configs import Context, pod_linux
from cri_shim.smoke.expect import equal, refused, skip_unless, that

if TYPE_CHECKING:
    from cri_shim.smoke.session import Pod
    from cri_shim.smoke.subject import Subject

security = Capability("security")
_SYS_CHROOT = 1 << capabilities.NAMES.index("CAP_SYS_CHROOT")
_KILL = 1 << capabilities.NAMES.index("CAP_KILL")
_NET_ADMIN = 1 << capabilities.NAMES.index("CAP_NET_ADMIN")
_PROFILE = cri.SecurityProfile
_KIND = cri.SecurityProfileProfileType


async def _capabilities(s: Subject, asked: cri.Capability | None = None) -> int:
    """The effective capabilities of such a container, as a mask."""
    status = await s.process_status(Context(capabilities=asked))
    equal("effective and bounding ones alike", status["CapBnd"], status["CapEff"])
    return int(status["CapEff"][0], 16)


async def _privileged_pod(s: Subject) -> Pod:
    return await s.pod(s.pod_config(linux=pod_linux(privileged=True)))


@security.check
async def capabilities_are_few_by_default(s: Subject) -> None:
    """A container has usual capabilities, and none to administer the network."""
    mask = await _capabilities(s)
    that(mask & _KILL and not mask & _NET_ADMIN, "CAP_KILL and no CAP_NET_ADMIN", f"{mask:016x}")


@security.check
async def capabilities_are_added(s: Subject) -> None:
    """Capabilities that are added are there beside the usual ones."""
    mask = await _capabilities(s, cri.Capability(add_capabilities=["NET_ADMIN"]))
    that(mask & _NET_ADMIN and mask & _KILL, "CAP_NET_ADMIN and CAP_KILL", f"{mask:016x}")


@security.check
async def capabilities_are_dropped(s: Subject) -> None:
    """Capabilities that are dropped are gone, the others are there."""
    mask = await _capabilities(s, cri.Capability(drop_capabilities=["SYS_CHROOT"]))
    that(mask & _KILL and not mask & _SYS_CHROOT, "CAP_KILL and no CAP_SYS_CHROOT", f"{mask:016x}")


@security.check
async def all_capabilities_are_dropped_but_those_added(s: Subject) -> None:
    """ALL drops all, and what is added nevertheless is all there is."""
    equal("none", 0, await _capabilities(s, cri.Capability(drop_capabilities=["ALL"])))
    asked = cri.Capability(drop_capabilities=["ALL"], add_capabilities=["KILL"])
    equal("CAP_KILL only", _KILL, await _capabilities(s, asked))


@security.check
async def another_user_has_no_capabilities(s: Subject) -> None:
    """A process of another user than root has none in effect."""
    status = await s.process_status(Context(run_as_user=cri.Int64Value(value=1001)))
    equal("effective capabilities", ["0" * 16], status["CapEff"])


@security.check
async def new_privileges_are_forbidden(s: Subject) -> None:
    """The flag no_new_privs is in force where it is asked for, and only there."""
    for asked in (True, False):
        status = await s.process_status(Context(no_new_privs=asked))
        equal(f"NoNewPrivs where it is {asked}", [str(int(asked))], status["NoNewPrivs"])


@security.check
async def root_can_be_read_only(s: Subject) -> None:
    """Nothing can be written to a read-only root."""
    said = await s.says("echo 2>/dev/null >/made && echo made || echo refused", Context(readonly_rootfs=True))
    equal("the attempt", "refused", said[-1])
    equal("the same with a root to write", "made", (await s.says("echo >/made && echo made"))[-1])


@security.check
async def masked_paths_are_empty(s: Subject) -> None:
    """What is masked is there, and empty; a path that there is not is no error."""
    context = Context(masked_paths=["/proc/stat", "/proc/fs", "/no/such/path"])
    equal("files", ["file", "directory"], await s.says(
        "read -r x </proc/stat || echo file; for f in /proc/fs/*; do test -e $f || echo directory; done", context
    ))  # fmt: skip


@security.check
async def readonly_paths_can_not_be_written(s: Subject) -> None:
    """What is read-only can't be written by a process that otherwise may."""
    script = "echo changed >/proc/sys/kernel/hostname && echo made || echo refused"
    context = Context(readonly_paths=["/proc/sys"])
    equal("the attempt", "refused", (await s.says(script, context))[-1])


@security.check
async def kernel_is_read_only(s: Subject) -> None:
    """/sys is read-only in a usual container."""
    equal("the option", ["ro"], await _sys_option(s, Context(), None))


@security.check
async def privileged_may_all(s: Subject) -> None:
    """A privileged container has all capabilities of the node, no filter, and may write to the kernel's files."""
    pod = await _privileged_pod(s)
    context = Context(privileged=True, masked_paths=["/proc/stat"], readonly_paths=["/proc/sys"])
    status = await s.process_status(context, pod)
    mask = int(status["CapEff"][0], 16)
    that(mask & _NET_ADMIN and mask & _SYS_CHROOT, "CAP_NET_ADMIN and CAP_SYS_CHROOT", f"{mask:016x}")
    equal("the filter of system calls", ["0"], status["Seccomp"])
    equal("the option of /sys", ["rw"], await _sys_option(s, context, pod))


@security.check
async def privileged_in_a_usual_pod_is_refused(s: Subject) -> None:
    """A privileged container in a pod that is not privileged is refused."""
    await refused(s.create(s.container_config(context=Context(privileged=True))), "a privileged container")


async def _sys_option(s: Subject, context: Context, pod: Pod | None) -> list[str]:
    """The first mount option of /sys: ro or rw."""
    lines = await s.says("cat /proc/self/mountinfo", context, pod)
    return [parts[5].split(",")[0] for parts in map(str.split, lines) if parts[4] == "/sys"]


@security.check
async def default_filter_is_in_force(s: Subject) -> None:
    """The profile RuntimeDefault filters system calls."""
    status = await s.process_status(Context(seccomp=_PROFILE(profile_type=_KIND.RuntimeDefault)))
    skip_unless("Seccomp" in status, "the kernel does not tell of filters")
    equal("Seccomp", ["2"], status["Seccomp"])


@security.check
async def unconfined_has_no_filter(s: Subject) -> None:
    """The profile Unconfined does not."""
    status = await s.process_status(Context(seccomp=_PROFILE(profile_type=_KIND.Unconfined)))
    skip_unless("Seccomp" in status, "the kernel does not tell of filters")
    equal("Seccomp", ["0"], status["Seccomp"])


@security.check
async def filter_of_the_node_is_in_force(s: Subject) -> None:
    """A profile that is a file on the node filters what it says."""
    await s.needs("mkdir")
    directory = await s.node_directory("seccomp")
    calls = [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 37}]
    await (directory / "profile.json").write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": calls}))
    reference = s.node_path("seccomp/profile.json")
    context = Context(seccomp=_PROFILE(profile_type=_KIND.Localhost, localhost_ref=reference))
    equal("mkdir", "refused", (await s.says("mkdir /tmp/x 2>/dev/null && echo done || echo refused", context))[-1])


@security.check
async def missing_filter_is_refused(s: Subject) -> None:
    """A container whose profile is not on the node does not run."""
    profile = _PROFILE(profile_type=_KIND.Localhost, localhost_ref=s.node_path("no-such-profile.json"))

    async def run() -> None:
        await s.run(s.container_config(context=Context(seccomp=profile)))

    await refused(run(), "a profile that there is not")


@security.check
async def apparmor_confines(s: Subject) -> None:
    """The AppArmor profile RuntimeDefault is in force."""
    enabled = s.place.path("/sys/module/apparmor/parameters/enabled")
    skip_unless(await enabled.exists() and (await enabled.read_text()).startswith("Y"), "the node has no AppArmor")
    context = Context(apparmor=_PROFILE(profile_type=_KIND.RuntimeDefault))
    (said,) = await s.says("cat /proc/self/attr/current", context)
    that(said.endswith("(enforce)"), "a profile that is enforced", said)
