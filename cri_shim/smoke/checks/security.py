"""What a container's processes may do: users, capabilities, system calls, paths."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.linux import capabilities
from cri_shim.smoke.check import Capability
from cri_shim.smoke.expect import equal, present, refused, skip_unless, that
from cri_shim.smoke.image.layer import EXTRA_GROUP, UID, USER
from cri_shim.smoke.image.own import DEFAULTS
from cri_shim.smoke.subject import Context, pod_linux

if TYPE_CHECKING:
    from cri_shim.smoke.session import Pod
    from cri_shim.smoke.subject import Subject

security = Capability("security")
_SYS_CHROOT = 1 << capabilities.NAMES.index("CAP_SYS_CHROOT")
_KILL = 1 << capabilities.NAMES.index("CAP_KILL")
_NET_ADMIN = 1 << capabilities.NAMES.index("CAP_NET_ADMIN")
_PROFILE = cri.SecurityProfile
_KIND = cri.SecurityProfileProfileType
_STRICT = cri.SupplementalGroupsPolicy.Strict


def _number(value: int) -> cri.Int64Value:
    return cri.Int64Value(value=value)


async def _status(s: Subject, context: Context, pod: Pod | None = None, image: str = "") -> dict[str, list[str]]:
    """/proc/self/status of a container with this context, by field."""
    lines = await s.says("cat /proc/self/status", context, pod, image=image or s.image)
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


async def _capabilities(s: Subject, asked: cri.Capability | None = None) -> int:
    """The effective capabilities of such a container, as a mask."""
    status = await _status(s, Context(capabilities=asked))
    equal("effective and bounding ones alike", status["CapBnd"], status["CapEff"])
    return int(status["CapEff"][0], 16)


async def _privileged_pod(s: Subject) -> Pod:
    return await s.pod(s.pod_config(linux=pod_linux(privileged=True)))


@security.check
async def runs_as_the_user_of_the_request(s: Subject) -> None:
    """A container runs as the user and the group of its request."""
    status = await _status(s, Context(run_as_user=_number(1001), run_as_group=_number(1002)))
    equal("user and group", (["1001"] * 4, ["1002"] * 4), (status["Uid"], status["Gid"]))


@security.check
async def runs_as_root_by_default(s: Subject) -> None:
    """Without a user in request and image it runs as root."""
    status = await _status(s, Context(), image=s.own.name("tools"))
    equal("user", ["0"] * 4, status["Uid"])


@security.check
async def runs_as_a_user_by_name(s: Subject) -> None:
    """A user's name is looked up in the image, with its groups."""
    status = await _status(s, Context(run_as_username=USER), image=s.own.name("tools"))
    equal("user and group", ([str(UID)] * 4, [str(UID)] * 4), (status["Uid"], status["Gid"]))


@security.check
async def runs_as_the_user_of_the_image(s: Subject) -> None:
    """Without a user in the request it runs as the image's, with the groups that the image gives it."""
    name = s.own.name(DEFAULTS)
    await s.images.pull_image(cri.PullImageRequest(image=cri.ImageSpec(image=name)))
    status = await _status(s, Context(), image=name)
    equal("the user", [str(UID)] * 4, status["Uid"])
    that(str(EXTRA_GROUP) in status["Groups"], f"the group {EXTRA_GROUP}", status["Groups"])


@security.check
async def supplemental_groups_are_added(s: Subject) -> None:
    """Supplemental groups of the request are the process's."""
    status = await _status(s, Context(run_as_user=_number(1001), supplemental_groups=[1234, 5678]))
    that({"1234", "5678"} <= {*status["Groups"]}, "the groups 1234 and 5678", status["Groups"])


@security.check
async def strict_groups_are_the_requests_only(s: Subject) -> None:
    """With the policy Strict, groups that only the image knows of are left out."""
    features = s.endpoint.status.features
    skip_unless(features and features.supplemental_groups_policy, "the endpoint has no supplemental groups policy")
    context = Context(run_as_username=USER, supplemental_groups=[5678], supplemental_groups_policy=_STRICT)
    status = await _status(s, context, image=s.own.name("tools"))
    equal("the groups", {str(UID), "5678"}, {*status["Groups"]})


@security.check
async def user_is_told(s: Subject) -> None:
    """ContainerStatus tells the user and the groups that the process has begun with."""
    context = Context(run_as_user=_number(1001), run_as_group=_number(1002), supplemental_groups=[1003])
    user = (await s.status(await s.run(s.container_config(context=context)))).user
    skip_unless(user and user.linux, "the endpoint does not tell of users")
    told = present(present(user, "a user").linux, "a user of Linux")
    equal("user and group", (1001, 1002), (told.uid, told.gid))
    that({1003} <= {*told.supplemental_groups}, "the group 1003", told.supplemental_groups)


@security.check
async def group_without_user_is_refused(s: Subject) -> None:
    """A group without a user is refused."""

    async def run() -> None:
        await s.run(s.container_config(context=Context(run_as_group=_number(1002))))

    await refused(run(), "run_as_group without a user")


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
    status = await _status(s, Context(run_as_user=_number(1001)))
    equal("effective capabilities", ["0" * 16], status["CapEff"])


@security.check
async def new_privileges_are_forbidden(s: Subject) -> None:
    """The flag no_new_privs is in force where it is asked for, and only there."""
    for asked in (True, False):
        status = await _status(s, Context(no_new_privs=asked))
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
    status = await _status(s, context, pod)
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
    status = await _status(s, Context(seccomp=_PROFILE(profile_type=_KIND.RuntimeDefault)))
    skip_unless("Seccomp" in status, "the kernel does not tell of filters")
    equal("Seccomp", ["2"], status["Seccomp"])


@security.check
async def unconfined_has_no_filter(s: Subject) -> None:
    """The profile Unconfined does not."""
    status = await _status(s, Context(seccomp=_PROFILE(profile_type=_KIND.Unconfined)))
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
