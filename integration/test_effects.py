"""What a container's process is, as it finds itself: identity, privileges, filter, namespaces, limits, directories."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.linux import capabilities
from integration.kubelet import BUSYBOX

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet, Pod

pytestmark = pytest.mark.anyio

STATUS = "cat /proc/self/status"
VOLUMES = "docker.io/test/volumes:1"
ENTRYPOINT = "docker.io/test/entrypoint:1"
IN_A_GROUP = "gcr.io/k8s-staging-cri-tools/test-image-predefined-group:latest"
BY_NAME = "gcr.io/k8s-staging-cri-tools/test-image-user-username-group:latest"

Context = cri.LinuxContainerSecurityContext
Options = cri.NamespaceOption
Mode = cri.NamespaceMode
Profile = cri.SecurityProfile
Kinds = cri.SecurityProfileProfileType
Groups = cri.SupplementalGroupsPolicy


def number(value: int) -> cri.Int64Value:
    return cri.Int64Value(value=value)


@dataclass
class Workloads:
    """Containers of one pod, made one after the other; each has a name of its own."""

    kubelet: Kubelet
    pod: Pod
    made: int = 0

    def config(self, script: str, context: Context | None = None, **fields: Any) -> cri.ContainerConfig:
        self.made += 1
        linux = cri.LinuxContainerConfig(security_context=context or Context(), resources=fields.pop("resources", None))
        command = fields.pop("command", ["sh", "-c", f"exec 2>&1; {script}"])  # two streams have no order
        return self.kubelet.container_config(command, f"c{self.made}", linux=linux, **fields)

    async def says(self, script: str, context: Context | None = None, **fields: Any) -> list[str]:
        """The lines that a container with this context writes, once it has ended."""
        container = await self.kubelet.run(self.pod, self.config(script, context, **fields))
        await self.kubelet.exited(container)
        return [line.split(" ", 3)[3] for line in await self.kubelet.log(container)]

    async def status(self, context: Context | None = None, **fields: Any) -> dict[str, list[str]]:
        """/proc/self/status of such a container, by field."""
        lines = await self.says(STATUS, context, **fields)
        return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


@pytest.fixture
async def inside(kubelet: Kubelet) -> Workloads:
    return Workloads(kubelet, await kubelet.run_pod())


def mask(*names: str) -> str:
    """A set of capabilities as /proc shows it."""
    return f"{sum(1 << capabilities.NAMES.index(name) for name in names):016x}"


async def test_users_and_groups_are_those_of_the_request_the_image_and_its_files(inside: Workloads) -> None:
    kubelet = inside.kubelet
    for image in (IN_A_GROUP, BY_NAME):
        await kubelet.pull(image)
    strict = Groups.Strict
    for context, image, uid, gid, groups in (
        (Context(), BUSYBOX, 0, 0, [0]),
        (Context(run_as_user=number(33)), BUSYBOX, 33, 33, [33]),
        (Context(run_as_user=number(1234)), BUSYBOX, 1234, 0, [0]),
        (Context(run_as_username="nobody", run_as_group=number(5)), BUSYBOX, 65534, 5, [5]),
        (Context(supplemental_groups=[7, 3]), IN_A_GROUP, 1000, 1000, [3, 7, 1000, 50000]),
        (Context(supplemental_groups=[7], supplemental_groups_policy=strict), IN_A_GROUP, 1000, 1000, [7, 1000]),
        (Context(run_as_user=number(7), supplemental_groups_policy=strict), IN_A_GROUP, 7, 0, [0]),
        (Context(), BY_NAME, 33, 1004, [1004]),
    ):
        container = await kubelet.run(inside.pod, inside.config(STATUS, context, image=image))
        told = (await kubelet.exited(container)).user
        assert told == cri.ContainerUser(linux=cri.LinuxContainerUser(uid=uid, gid=gid, supplemental_groups=groups)), (
            context
        )
        lines = [line.split(" ", 3)[3].split() for line in await kubelet.log(container)]
        found = {line[0]: [int(item) for item in line[1:]] for line in lines if line[0] in ("Uid:", "Gid:", "Groups:")}
        assert found == {"Uid:": [uid] * 4, "Gid:": [gid] * 4, "Groups:": groups}, context


async def test_capabilities_are_the_defaults_with_what_is_added_and_without_what_is_dropped(inside: Workloads) -> None:
    default = await inside.status()
    assert default["CapEff"] == default["CapBnd"] == default["CapPrm"]
    assert default["CapInh"] == default["CapAmb"] == ["0" * 16]
    usual = int(default["CapEff"][0], 16)
    admin, kill = int(mask("CAP_NET_ADMIN"), 16), int(mask("CAP_KILL"), 16)
    assert usual & kill
    assert not usual & admin
    wanted = cri.Capability
    for asked, expected in (
        (wanted(add_capabilities=["net_admin"], drop_capabilities=["KILL"]), (usual | admin) & ~kill),
        (wanted(drop_capabilities=["ALL"]), 0),
        (wanted(add_capabilities=["KILL"], drop_capabilities=["all"]), kill),
        (wanted(add_capabilities=["ALL"], drop_capabilities=["KILL"]), _ours() & ~kill),
    ):
        found = await inside.status(Context(capabilities=asked))
        assert int(found["CapEff"][0], 16) == int(found["CapBnd"][0], 16) == expected, asked
    other_user = await inside.status(Context(run_as_user=number(33)))
    assert (int(other_user["CapEff"][0], 16), int(other_user["CapBnd"][0], 16)) == (0, usual)


@pytest.mark.shim_only  # containerd leaves them out
@pytest.mark.parametrize("handler", ["", "crun"])
async def test_ambient_capabilities_are_kept_by_a_user_that_is_not_root(kubelet: Kubelet, handler: str) -> None:
    inside = Workloads(kubelet, await kubelet.run_pod(handler=handler))
    wanted = cri.Capability(
        add_ambient_capabilities=["NET_ADMIN", "KILL"], drop_capabilities=["KILL"], add_capabilities=["SYS_TIME"]
    )
    found = await inside.status(Context(run_as_user=number(1000), capabilities=wanted))
    assert found["CapAmb"] == found["CapEff"] == found["CapPrm"] == found["CapInh"] == [mask("CAP_NET_ADMIN")]
    assert int(found["CapBnd"][0], 16) & int(mask("CAP_SYS_TIME"), 16)
    assert not int(found["CapBnd"][0], 16) & int(mask("CAP_KILL"), 16)


def _ours() -> int:
    return int(mask(*capabilities.effective()), 16)


async def test_a_privileged_container_may_all_that_the_node_may(kubelet: Kubelet) -> None:
    linux = cri.LinuxPodSandboxConfig(security_context=cri.LinuxSandboxSecurityContext(privileged=True))
    inside = Workloads(kubelet, await kubelet.run_pod(kubelet.pod_config(linux=linux)))
    hidden = ["/proc/interrupts", "/proc/stat"]
    plain = Context(masked_paths=hidden, readonly_paths=["/proc/sys"])
    privileged = Context(
        privileged=True,
        masked_paths=hidden,
        readonly_paths=["/proc/sys"],
        seccomp=Profile(profile_type=Kinds.RuntimeDefault),
    )
    probe = (
        "grep -E '^(CapEff|Seccomp|NoNewPrivs):' /proc/self/status; awk '$5 == \"/sys\" {print \"sys\", $6}' "
        "/proc/self/mountinfo; awk '$5 ~ \"^/proc/\" {print $5}' /proc/self/mountinfo; ls /dev | grep -c ."
    )
    usual, all_ = await inside.says(probe, plain), await inside.says(probe, privileged)
    assert f"CapEff:\t{_ours():016x}" in all_
    assert "Seccomp:\t0" in all_
    assert [line.split(",")[0] for line in usual if line.startswith("sys ")] == ["sys ro"]
    assert [line.split(",")[0] for line in all_ if line.startswith("sys ")] == ["sys rw"]
    assert {line for line in usual if line.startswith("/proc/")} == {"/proc/sys", *hidden}
    assert [line for line in all_ if line.startswith("/proc/")] == []
    assert int(all_[-1]) > int(usual[-1])


async def test_masked_paths_are_empty_readonly_ones_and_roots_can_not_be_written(inside: Workloads) -> None:
    probe = "wc -c < /proc/stat; ls /sys/firmware; echo x > /proc/sys/kernel/hostname; touch /made && echo made"
    context = Context(
        masked_paths=["/proc/stat", "/sys/firmware", "/proc/not/there"],
        readonly_paths=["/proc/sys"],
        readonly_rootfs=True,
    )
    lines = await inside.says(probe, context)
    assert lines[0] == "0"
    assert [line for line in lines[1:] if "Read-only file system" not in line] == []
    assert len(lines) == 3
    assert (await inside.says("touch /made && echo made")) == ["made"]


async def test_no_new_privileges_holds_for_a_set_user_id_program(inside: Workloads) -> None:
    image = "registry.k8s.io/e2e-test-images/nonewprivs:1.3"
    await inside.kubelet.pull(image)
    for forbidden, uid in ((False, 0), (True, 1000)):
        context = Context(run_as_user=number(1000), no_new_privs=forbidden)
        assert await inside.says("", context, image=image, command=[]) == [f"Effective uid: {uid}"]
    assert (await inside.status(Context(no_new_privs=True)))["NoNewPrivs"] == ["1"]


@pytest.mark.filterwarnings("ignore:.*seccomp_profile_path is deprecated:DeprecationWarning")
async def test_system_calls_are_those_that_the_profile_lets_through(inside: Workloads, running: RunningNode) -> None:
    """The default filter lets through what a capability is for, and never a change of the root."""
    probe = "grep ^Seccomp: /proc/self/status; unshare -u true && echo yes; pivot_root /a /b"
    default, unconfined = Profile(profile_type=Kinds.RuntimeDefault), Profile(profile_type=Kinds.Unconfined)
    admin = cri.Capability(add_capabilities=["SYS_ADMIN"])
    refusing = {"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 37}]}  # fmt: skip
    running.node.write("/etc/seccomp/refusing.json", json.dumps(refusing))
    local = Profile(profile_type=Kinds.Localhost, localhost_ref="/etc/seccomp/refusing.json")
    assert "yes" not in await inside.says(probe, Context(seccomp=default))
    for context, filtered in (
        (Context(seccomp=default, capabilities=admin), True),
        (Context(seccomp=unconfined, capabilities=admin), False),
        (Context(capabilities=admin), False),
        (Context(seccomp_profile_path="runtime/default", capabilities=admin), True),
        (Context(seccomp_profile_path="unconfined", capabilities=admin), False),
    ):
        mode, unshared, pivoted = await inside.says(probe, context)
        assert (mode, unshared) == (f"Seccomp:\t{2 if filtered else 0}", "yes"), context
        assert ("Operation not permitted" in pivoted) == filtered, (context, pivoted)
    for context in (Context(seccomp=local), Context(seccomp_profile_path="localhost//etc/seccomp/refusing.json")):
        assert "No locks available" in (await inside.says("mkdir /x", context))[0]


async def test_arguments_variables_and_directory_come_from_the_request_and_the_image(inside: Workloads) -> None:
    for image in (ENTRYPOINT, VOLUMES):
        await inside.kubelet.pull(image)
    for command, args, expected in (
        ([], [], "entrypoint cmd"),
        ([], ["mine"], "entrypoint mine"),
        (["/bin/echo", "command"], [], "command"),
        (["/bin/echo", "command"], ["mine"], "command mine"),
    ):
        assert await inside.says("", image=ENTRYPOINT, command=command, args=args) == [expected]
    key = cri.KeyValue
    envs = [key("FROM_IMAGE", b"2"), key("EMPTY", b""), key("REF", b"$(FROM_IMAGE) $HOME"), key("B\xe4", b"= \xc3\xa4")]
    found = await inside.says("env", image=ENTRYPOINT, envs=envs)
    assert {line for line in found if not line.startswith(("PWD=", "SHLVL=", "HOME="))} == {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", f"HOSTNAME={inside.pod.config.hostname}",
        "FROM_IMAGE=2", "EMPTY=", "REF=$(FROM_IMAGE) $HOME", "B\xe4== \xe4",
    }  # fmt: skip
    assert await inside.says("pwd; stat -c %u:%a .", working_dir="/not/there/yet") == ["/not/there/yet", "0:755"]
    assert await inside.says("pwd", image=VOLUMES) == ["/made/by/the/runtime"]


async def test_a_terminal_is_one(inside: Workloads) -> None:
    probe = "for fd in 0 1 2; do test -t $fd && echo yes; done; echo $TERM; echo error >&2"
    assert await inside.says(probe, tty=True) == ["yes", "yes", "yes", "xterm", "error"]
    assert await inside.says("for fd in 0 1 2; do test -t $fd && echo yes; done; echo ${TERM:-none}") == ["none"]


async def test_oom_score_umask_and_limits(inside: Workloads, containerd_pid: int) -> None:
    """Limits are the runtime's, inherited from containerd: the CRI has no words for them."""
    resources = cri.LinuxContainerResources(oom_score_adj=777)
    probe = "cat /proc/self/oom_score_adj; umask; grep 'open files' /proc/self/limits"
    score, umask, files = await inside.says(probe, resources=resources)
    assert (score, umask) == ("777", "0022")
    (lowest,) = await inside.says(
        "cat /proc/self/oom_score_adj", resources=cri.LinuxContainerResources(oom_score_adj=-900)
    )
    own = await anyio.Path(f"/proc/{containerd_pid}/oom_score_adj").read_text()
    free = "CAP_SYS_RESOURCE" in capabilities.effective()  # else the node has restrict_oom_score_adj
    assert lowest == ("-900" if free else own.strip())
    limits = await anyio.Path(f"/proc/{containerd_pid}/limits").read_text()
    assert files.split()[3:5] == next(line for line in limits.splitlines() if "open files" in line).split()[3:5]


@pytest.fixture
def containerd_pid(running: RunningNode) -> int:
    return (running.peer or running.containerd).daemon.pid


async def test_pid_namespaces_show_the_container_the_pod_the_target_or_the_node(kubelet: Kubelet) -> None:
    probe = "cat /proc/1/comm; true"
    shared = Workloads(kubelet, await kubelet.run_pod())
    alone = Context(namespace_options=Options(pid=Mode.CONTAINER))
    in_pod = Context(namespace_options=Options(pid=Mode.POD))
    neighbour = await kubelet.run(shared.pod, shared.config("exec sleep 98765", alone))
    target = Context(namespace_options=Options(pid=Mode.TARGET, target_id=neighbour))
    assert await shared.says(probe, alone) == ["sh"]
    assert await shared.says(probe, in_pod) == ["pause"]
    assert await shared.says(probe, target) == ["sleep"]
    linux = cri.LinuxPodSandboxConfig(
        security_context=cri.LinuxSandboxSecurityContext(namespace_options=Options(pid=Mode.NODE, ipc=Mode.NODE))
    )
    node = Workloads(kubelet, await kubelet.run_pod(kubelet.pod_config(linux=linux)))
    everybody = Context(namespace_options=Options(pid=Mode.NODE, ipc=Mode.NODE))
    lines = await node.says("grep -a -l 98765 /proc/[0-9]*/cmdline | wc -l; cat /proc/1/comm", everybody)
    assert int(lines[0]) >= 1
    assert lines[1] != "pause"


async def test_names_and_ipc_are_the_pods_or_the_nodes(kubelet: Kubelet, running: RunningNode) -> None:
    probe = "hostname; cat /etc/hostname; echo $HOSTNAME; for n in uts ipc net; do readlink /proc/self/ns/$n; done"
    node = running.node.run(["sh", "-c", probe.replace("echo $HOSTNAME", "hostname")]).stdout.splitlines()
    own = Workloads(kubelet, await kubelet.run_pod())
    first, second = await own.says(probe), await own.says(probe)
    assert first == second
    assert first[:3] == [own.pod.config.hostname] * 3
    assert not set(first) & set(node)
    options = Options(network=Mode.NODE, ipc=Mode.NODE)
    linux = cri.LinuxPodSandboxConfig(security_context=cri.LinuxSandboxSecurityContext(namespace_options=options))
    config = kubelet.pod_config(linux=linux, host_network=True)
    shared = Workloads(kubelet, await kubelet.run_pod(config))
    found = await shared.says(probe, Context(namespace_options=options))
    assert (found[0], found[2], *found[3:]) == (node[0], node[0], *node[3:])
    longest = kubelet.pod_config()
    longest.hostname = "h" * 64
    named = Workloads(kubelet, await kubelet.run_pod(longest))
    assert (await named.says("hostname")) == ["h" * 64]


async def test_a_cgroup_namespace_hides_where_the_container_is(inside: Workloads, running: RunningNode) -> None:
    unified = running.node.run(["stat", "-fc", "%T", "/sys/fs/cgroup"]).stdout.strip() == "cgroup2fs"
    lines = await inside.says("cat /proc/self/cgroup")
    assert all(line.endswith(":/") for line in lines) == unified


async def test_a_second_runtime_makes_the_same_process(kubelet: Kubelet) -> None:
    made = []
    context = Context(
        run_as_user=number(33),
        supplemental_groups=[7],
        no_new_privs=True,
        capabilities=cri.Capability(add_capabilities=["NET_ADMIN"]),
        seccomp=Profile(profile_type=Kinds.RuntimeDefault),
    )
    wanted = "Uid", "Gid", "Groups", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp"
    for handler in ("", "crun"):
        inside = Workloads(kubelet, await kubelet.run_pod(handler=handler))
        found = await inside.status(context, working_dir="/not/there/yet")
        made.append({name: found[name] for name in wanted})
    assert made[0] == made[1]
