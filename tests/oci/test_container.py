"""What only the whole of a container's spec shows; its parts have tests of their own."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.container import container_spec
from cri_shim.oci.devices import ALL_ALLOWED
from cri_shim.oci.image import ImageConfig, ImageProcess
from cri_shim.oci.linux_spec import Device, DeviceRule, IdMapping, Linux, Namespace, Resources, Seccomp
from cri_shim.oci.policy import Policy
from cri_shim.oci.selinux import Labels
from cri_shim.oci.spec import Capabilities, Hook, Hooks, Mount, Process, Rlimit, Root, Spec, User, from_json, to_json
from cri_shim.oci.users import Accounts
from tests.oci.node import FACTS, OWN_USERS, POD_CONFIG, FakeHost, container_input, device, facts, pod_config

Context = cri.LinuxContainerSecurityContext
PRIVILEGED_POD = pod_config(cri.LinuxSandboxSecurityContext(privileged=True))
DENY = DeviceRule(allow=False, access="rwm")
HOST = FakeHost(device_nodes={"/dev": [device("/dev/kvm", "kvm")], "/dev/fuse": [device("/dev/fuse", minor=9)]})
FUSE = cri.Device(container_path="/dev/fuse", host_path="/dev/fuse", permissions="rw")


def process(spec: Spec) -> Process:
    assert spec.process is not None
    return spec.process


def linux(spec: Spec) -> Linux:
    assert spec.linux is not None
    return spec.linux


def limits(spec: Spec) -> Resources:
    found = linux(spec).resources
    assert found is not None
    return found


def made(config: cri.ContainerConfig | None = None, context: Context | None = None, **changed: object) -> Spec:
    return container_spec(container_input(config, context, **changed))


def test_a_container_that_asks_for_nothing_gets_the_defaults() -> None:
    spec = made()
    assert process(spec) == Process(
        user=User(0, 0, additional_gids=[0]),
        args=["/bin/app", "serve"],
        env=["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=node-1"],
        capabilities=process(spec).capabilities,
    )
    assert spec.root == Root("rootfs")
    assert spec.hostname == ""
    found = linux(spec)
    assert found.cgroups_path == "/k8s.io/c1"
    assert (found.masked_paths, found.readonly_paths, found.seccomp, found.devices) == ([], [], None, [])
    assert limits(spec) == Resources(devices=[DENY])
    assert [mount.destination for mount in spec.mounts] == [
        "/proc", "/dev", "/dev/pts", "/dev/mqueue", "/sys", "/sys/fs/cgroup",
        "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/dev/shm",
    ]  # fmt: skip
    assert Namespace("cgroup") in found.namespaces


def test_a_spec_survives_being_stored() -> None:
    spec = made(context=Context(seccomp=cri.SecurityProfile()))
    assert from_json(to_json(spec), Spec) == spec


def test_where_it_runs_is_the_requests_then_the_images() -> None:
    image = ImageConfig(config=ImageProcess(entrypoint=["/x"], working_dir="/image", user="app", env=["A=1"]))
    accounts = Accounts(b"app:x:7:8\n", b"g:x:9:app\n")
    spec = made(image=image, accounts=accounts)
    assert process(spec).cwd == "/image"
    assert process(spec).user == User(7, 8, additional_gids=[8, 9])
    config = cri.ContainerConfig(working_dir="/mine", tty=True, envs=[cri.KeyValue(key="A", value=b"2")])
    context = Context(
        run_as_user=cri.Int64Value(value=1),
        run_as_group=cri.Int64Value(value=2),
        supplemental_groups=[3],
        supplemental_groups_policy=cri.SupplementalGroupsPolicy.Strict,
        no_new_privs=True,
        readonly_rootfs=True,
    )
    spec = made(config, context, image=image, accounts=accounts)
    assert (process(spec).cwd, process(spec).terminal, process(spec).no_new_privileges) == ("/mine", True, True)
    assert process(spec).user == User(1, 2, additional_gids=[2, 3])
    assert process(spec).env[1:] == ["TERM=xterm", "HOSTNAME=node-1", "A=1", "A=2"]
    assert spec.root == Root("rootfs", readonly=True)


def test_the_pods_name_is_in_the_environment() -> None:
    assert "HOSTNAME=web-0" in process(made(sandbox=pod_config(hostname="web-0"))).env


def test_paths_are_masked_as_asked_or_as_by_default_where_that_is_set() -> None:
    context = Context(masked_paths=["/proc/kcore"], readonly_paths=["/proc/sys"])
    assert (linux(made(context=context)).masked_paths, linux(made(context=context)).readonly_paths) == (
        ["/proc/kcore"],
        ["/proc/sys"],
    )
    found = linux(made(context=context, policy=Policy(disable_proc_mount=True)))
    assert "/sys/firmware" in found.masked_paths
    assert "/proc/irq" in found.readonly_paths


def test_limits_and_the_oom_score_are_those_of_the_request() -> None:
    config = cri.ContainerConfig(
        linux=cri.LinuxContainerConfig(resources=cri.LinuxContainerResources(cpu_shares=5, oom_score_adj=-900))
    )
    spec = made(config)
    cpu = limits(spec).cpu
    assert cpu is not None
    assert cpu.shares == 5
    assert process(spec).oom_score_adj == -900
    assert process(made(config, policy=Policy(restrict_oom_score_adj=True))).oom_score_adj == -500


def test_the_cgroup_is_below_the_pods() -> None:
    sandbox = pod_config(linux=cri.LinuxPodSandboxConfig(cgroup_parent="kubepods-pod1.slice"))
    assert linux(made(sandbox=sandbox)).cgroups_path == "kubepods-pod1.slice:cri-containerd:c1"


def test_the_filter_follows_the_capabilities() -> None:
    default = Context(seccomp=cri.SecurityProfile())
    admin = Context(seccomp=cri.SecurityProfile(), capabilities=cri.Capability(add_capabilities=["SYS_ADMIN"]))

    def allowed(context: Context) -> set[str]:
        found = linux(made(context=context)).seccomp
        assert found is not None
        return {name for rule in found.syscalls for name in rule.names}

    assert allowed(admin) - allowed(default) >= {"mount", "setns"}


def test_apparmor_is_the_default_where_the_node_has_it() -> None:
    assert process(made(facts=facts(apparmor=True))).apparmor_profile == "cri-containerd.apparmor.d"


def test_annotations_are_passed_through_from_pod_and_container_by_their_own_patterns() -> None:
    config = cri.ContainerConfig(annotations={"c.io/a": "1", "p.io/a": "no", "both": "container"})
    pod = pod_config(annotations={"p.io/a": "2", "c.io/b": "no", "both": "pod"})
    policy = Policy(pod_annotations=["p.io/*", "both"], container_annotations=["c.io/*", "both"])
    found = made(config, pod=pod, policy=policy).annotations
    assert {key: value for key, value in found.items() if not key.startswith("io.")} == {
        "c.io/a": "1",
        "p.io/a": "2",
        "both": "container",
    }
    assert found["io.kubernetes.cri.image-name"] == "docker.io/library/app:1"


def test_mounts_decide_how_the_root_propagates() -> None:
    private = cri.ContainerConfig(mounts=[cri.Mount(container_path="/a", host_path="/a")])
    assert linux(made(private)).rootfs_propagation == ""


def test_own_users_are_the_pods() -> None:
    options = cri.NamespaceOption(userns_options=OWN_USERS)
    sandbox = pod_config(cri.LinuxSandboxSecurityContext(namespace_options=options))
    able = Policy(user_namespaces=True)
    spec = made(context=Context(namespace_options=options), sandbox=sandbox, policy=able)
    assert linux(spec).uid_mappings == [IdMapping(0, 100000, 65536)]
    assert linux(spec).namespaces[-1] == Namespace("user", "/proc/42/ns/user")
    with pytest.raises(InvalidArgument, match=r"different from container"):
        made(sandbox=sandbox, policy=able)


class TestPrivileged:
    """A container that is to be as near to the node as can be."""

    def spec(self, policy: Policy | None = None, **fields: object) -> Spec:
        config = cri.ContainerConfig(devices=[FUSE])
        context = Context(privileged=True, **fields)  # type: ignore[arg-type]
        return made(config, context, sandbox=PRIVILEGED_POD, host=HOST, policy=policy or Policy())

    def test_it_needs_a_privileged_pod(self) -> None:
        with pytest.raises(InvalidArgument, match=r"no privileged container allowed in sandbox"):
            made(context=Context(privileged=True), sandbox=POD_CONFIG)

    def test_it_has_all_that_we_have_and_nothing_is_hidden_or_filtered(self) -> None:
        spec = self.spec(masked_paths=["/proc/kcore"], readonly_paths=["/proc"], seccomp=cri.SecurityProfile())
        ours = list(FACTS.effective_capabilities)
        assert process(spec).capabilities == Capabilities(bounding=ours, effective=ours, permitted=ours)
        found = linux(spec)
        assert (found.masked_paths, found.readonly_paths, found.seccomp) == ([], [], None)
        assert Namespace("cgroup") not in found.namespaces

    def test_it_has_the_devices_asked_for_and_the_nodes(self) -> None:
        spec = self.spec()
        assert [node.path for node in linux(spec).devices] == ["/dev/fuse", "/dev/kvm"]
        assert limits(spec).devices == [ALL_ALLOWED]

    def test_without_the_nodes_devices_it_has_those_asked_for(self) -> None:
        spec = self.spec(Policy(privileged_without_host_devices=True))
        assert [node.path for node in linux(spec).devices] == ["/dev/fuse"]
        assert limits(spec).devices == [
            DENY,
            DeviceRule(allow=True, type="c", major=1, minor=9, access="rw"),
        ]

    def test_it_may_still_be_allowed_to_use_all(self) -> None:
        policy = Policy(privileged_without_host_devices=True, privileged_without_host_devices_all_devices_allowed=True)
        spec = self.spec(policy)
        assert [node.path for node in linux(spec).devices] == ["/dev/fuse"]
        assert limits(spec).devices == [ALL_ALLOWED]


class TestBaseSpec:
    """A handler's own spec takes the place of the default one."""

    BASE = Spec(
        oci_version="1.1.0",
        process=Process(
            cwd="/base",
            env=["B=1"],
            terminal=True,
            rlimits=[Rlimit("RLIMIT_NOFILE", 2048, 1024)],
            apparmor_profile="base",
            selinux_label="base",
            oom_score_adj=5,
            no_new_privileges=True,
            capabilities=Capabilities(bounding=["CAP_KILL"]),
        ),
        root=Root("elsewhere", readonly=True),
        hooks=Hooks(prestart=[Hook("/hook")]),
        mounts=[Mount("/run", "tmpfs"), Mount("/base", "tmpfs")],
        annotations={"base": "1"},
        linux=Linux(
            cgroups_path="/base",
            mount_label="base",
            seccomp=Seccomp("SCMP_ACT_LOG"),
            devices=[Device("/dev/base", "c", 1, 1)],
            rootfs_propagation="rshared",
            namespaces=[Namespace("time")],
        ),
    )

    def spec(self, context: Context | None = None, **changed: object) -> Spec:
        return made(None, context, policy=Policy(base_spec=self.BASE), **changed)

    def test_what_nothing_overrides_survives(self) -> None:
        spec = self.spec()
        run = process(spec)
        assert (spec.oci_version, spec.hooks) == ("1.1.0", self.BASE.hooks)
        assert (run.cwd, run.terminal, run.oom_score_adj) == ("/base", True, 5)
        assert (run.rlimits, run.apparmor_profile) == ([Rlimit("RLIMIT_NOFILE", 2048, 1024)], "base")
        assert run.capabilities == Capabilities(bounding=["CAP_KILL"])
        assert run.env[0] == "B=1"
        assert spec.root == Root("rootfs", readonly=True)
        assert spec.annotations["base"] == "1"
        assert linux(spec).seccomp == Seccomp("SCMP_ACT_LOG")
        assert linux(spec).devices == [Device("/dev/base", "c", 1, 1)]
        assert linux(spec).rootfs_propagation == "rshared"
        assert linux(spec).namespaces[0] == Namespace("time")

    def test_what_is_each_containers_own_is_replaced(self) -> None:
        spec = self.spec()
        assert linux(spec).cgroups_path == "/k8s.io/c1"
        assert process(spec).no_new_privileges is False
        assert (process(spec).selinux_label, linux(spec).mount_label) == ("", "")
        assert [mount.destination for mount in spec.mounts][:2] == ["/base", "/sys/fs/cgroup"]

    def test_the_labels_are_the_ones_given(self) -> None:
        spec = self.spec(labels=Labels(process="u:r:t:s0", mount="u:object_r:f:s0", run="u:r:vm:s0"))
        assert (process(spec).selinux_label, linux(spec).mount_label) == ("u:r:vm:s0", "u:object_r:f:s0")

    def test_the_request_overrides_it(self) -> None:
        context = Context(
            seccomp=cri.SecurityProfile(),
            capabilities=cri.Capability(add_capabilities=["CHOWN"]),
        )
        spec = self.spec(context, facts=facts(apparmor=True))
        assert linux(spec).seccomp != Seccomp("SCMP_ACT_LOG")
        assert process(spec).apparmor_profile == "cri-containerd.apparmor.d"
        found = process(spec).capabilities
        assert found is not None
        assert found.bounding == ["CAP_KILL", "CAP_CHOWN"]

    def test_privileged_drops_its_confinement(self) -> None:
        spec = self.spec(Context(privileged=True), sandbox=PRIVILEGED_POD, host=HOST)
        assert (process(spec).apparmor_profile, linux(spec).seccomp) == ("", None)

    def test_an_empty_one_will_do(self) -> None:
        spec = made(policy=Policy(base_spec=Spec()))
        assert process(spec).args == ["/bin/app", "serve"]
        assert linux(spec).cgroups_path == "/k8s.io/c1"

    def test_it_is_left_as_it_was(self) -> None:
        before = msgspec.json.encode(self.BASE)
        self.spec(Context(capabilities=cri.Capability(add_capabilities=["CHOWN"])))
        assert msgspec.json.encode(self.BASE) == before


@pytest.mark.parametrize(
    ("context", "words"),
    [
        (
            Context(supplemental_groups_policy=cri.SupplementalGroupsPolicy(5)),
            "supplemental_groups_policy 5 is unknown",
        ),
        (Context(run_as_username="nobody"), "run_as_username names 'nobody'"),
        (Context(seccomp=cri.SecurityProfile(localhost_ref="x")), "security_context.seccomp.localhost_ref"),
        (Context(apparmor=cri.SecurityProfile()), "security_context.apparmor"),
    ],
)
def test_what_cannot_be_is_refused_by_field_before_any_mount_is_made(context: Context, words: str) -> None:
    host = FakeHost()
    config = cri.ContainerConfig(mounts=[cri.Mount(container_path="/a", host_path="/new")])
    with pytest.raises(InvalidArgument) as caught:
        made(config, context, host=host)
    assert words in str(caught.value)
    assert host.asked == []


def test_no_linux_part_at_all_will_do() -> None:
    given = container_input(cri.ContainerConfig(command=["/c"]))
    spec = container_spec(replace(given, sandbox=cri.PodSandboxConfig(), pod=cri.PodSandboxConfig()))
    assert process(spec).args == ["/c"]
