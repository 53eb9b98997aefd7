"""What only the whole of a pause container's spec shows; its parts have tests of their own."""

from __future__ import annotations

import json

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.image import ImageConfig, ImageProcess
from cri_shim.oci.linux_spec import IdMapping, Linux, Namespace
from cri_shim.oci.policy import Policy
from cri_shim.oci.sandbox import check_security, sandbox_spec
from cri_shim.oci.selinux import Labels
from cri_shim.oci.spec import Mount, Process, Root, Spec, User, to_json
from cri_shim.oci.users import Accounts
from tests.oci.node import FACTS, NODE, OWN_USERS, FakeHost, pod_config, sandbox_input

Context = cri.LinuxSandboxSecurityContext
READ_ONLY = ["rbind", "ro", "nosuid", "nodev", "noexec"]


def process(spec: Spec) -> Process:
    assert spec.process is not None
    return spec.process


def linux(spec: Spec) -> Linux:
    assert spec.linux is not None
    return spec.linux


def test_a_pause_process_runs_from_its_image_in_a_read_only_root() -> None:
    image = ImageConfig(
        config=ImageProcess(entrypoint=["/pause"], cmd=["-v"], env=["PATH=/"], working_dir="/w", user="65535:65535")
    )
    spec = sandbox_spec(sandbox_input(pod_config(hostname="web-0"), image=image))
    found = process(spec)
    assert (found.args, found.env, found.cwd) == (["/pause", "-v"], ["PATH=/"], "/w")
    assert found.user == User(65535, 65535, additional_gids=[65535])
    assert (found.oom_score_adj, found.no_new_privileges, found.rlimits) == (-998, True, [])
    assert spec.root == Root("rootfs", readonly=True)
    assert spec.hostname == "web-0"
    assert json.loads(to_json(linux(spec)))["resources"] == {
        "devices": [{"allow": False, "access": "rwm"}],
        "cpu": {"shares": 2},
    }


def test_an_image_without_a_command_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"'registry.k8s.io/pause:3.10' has neither an entry point nor a command"):
        sandbox_spec(sandbox_input(image=ImageConfig()))


def test_shared_memory_and_resolver_are_the_pods() -> None:
    spec = sandbox_spec(sandbox_input())
    assert [mount.destination for mount in spec.mounts] == [
        "/proc", "/dev", "/dev/pts", "/dev/mqueue", "/sys", "/dev/shm", "/etc/resolv.conf"
    ]  # fmt: skip
    assert spec.mounts[-2:] == [
        Mount("/dev/shm", "bind", "/pods/shm", READ_ONLY),
        Mount("/etc/resolv.conf", "bind", "/pods/resolv.conf", READ_ONLY),
    ]


def test_a_privileged_pod_can_write_sysfs_and_has_no_filter_but_keeps_its_masked_paths() -> None:
    context = cri.LinuxSandboxSecurityContext(privileged=True, seccomp=cri.SecurityProfile())
    spec = sandbox_spec(sandbox_input(pod_config(context)))
    assert "rw" in next(mount.options for mount in spec.mounts if mount.destination == "/sys")
    assert linux(spec).seccomp is None
    assert linux(spec).masked_paths


def test_the_filter_is_the_pods() -> None:
    context = cri.LinuxSandboxSecurityContext(seccomp=cri.SecurityProfile())
    assert linux(sandbox_spec(sandbox_input(pod_config(context)))).seccomp is not None
    assert linux(sandbox_spec(sandbox_input())).seccomp is None


def test_own_users_get_their_mappings_and_the_pinned_namespace() -> None:
    options = cri.NamespaceOption(userns_options=OWN_USERS)
    config = pod_config(cri.LinuxSandboxSecurityContext(namespace_options=options))
    spec = sandbox_spec(sandbox_input(config, userns_path="/run/user"))
    assert linux(spec).namespaces[-2:] == [Namespace("network", "/run/netns/cni-1"), Namespace("user", "/run/user")]
    assert linux(spec).uid_mappings == linux(spec).gid_mappings == [IdMapping(0, 100000, 65536)]
    assert "net.ipv4.ping_group_range" not in linux(spec).sysctl


def test_own_users_in_the_nodes_network_see_the_nodes_sys() -> None:
    options = cri.NamespaceOption(network=NODE, userns_options=OWN_USERS)
    spec = sandbox_spec(sandbox_input(pod_config(cri.LinuxSandboxSecurityContext(namespace_options=options))))
    assert next(mount for mount in spec.mounts if mount.destination == "/sys").type == "bind"
    assert linux(spec).sysctl == {}


def test_the_pods_cgroup_parent_sysctls_and_annotations_arrive() -> None:
    config = pod_config(
        linux=cri.LinuxPodSandboxConfig(cgroup_parent="/kubepods/pod1", sysctls={"kernel.msgmax": "1"}),
        annotations={"example.com/a": "1", "other": "2"},
    )
    spec = sandbox_spec(sandbox_input(config, policy=Policy(pod_annotations=["example.com/*"])))
    assert linux(spec).cgroups_path == "/kubepods/pod1/s1"
    assert linux(spec).sysctl["kernel.msgmax"] == "1"
    assert spec.annotations["example.com/a"] == "1"
    assert "other" not in spec.annotations
    assert spec.annotations["io.kubernetes.cri.container-type"] == "sandbox"


def test_an_annotation_passed_through_never_takes_the_place_of_ours() -> None:
    config = pod_config(annotations={"io.kubernetes.cri.sandbox-id": "forged"})
    spec = sandbox_spec(sandbox_input(config, policy=Policy(pod_annotations=["*/*"])))
    assert spec.annotations["io.kubernetes.cri.sandbox-id"] == "s1"


def test_the_user_is_the_requests_before_the_images() -> None:
    context = cri.LinuxSandboxSecurityContext(run_as_user=cri.Int64Value(value=7), supplemental_groups=[9])
    spec = sandbox_spec(sandbox_input(pod_config(context), accounts=Accounts(b"x:x:7:8\n")))
    assert process(spec).user == User(7, 8, additional_gids=[8])


@pytest.mark.parametrize(
    "context",
    [
        cri.LinuxSandboxSecurityContext(run_as_group=cri.Int64Value(value=7)),
        cri.LinuxSandboxSecurityContext(
            namespace_options=cri.NamespaceOption(userns_options=cri.UserNamespace(mode=cri.NamespaceMode.POD))
        ),
    ],
)
def test_what_cannot_be_is_refused(context: cri.LinuxSandboxSecurityContext) -> None:
    with pytest.raises(InvalidArgument, match=r"config.linux.security_context"):
        sandbox_spec(sandbox_input(pod_config(context)))


def test_the_labels_are_the_ones_given() -> None:
    spec = sandbox_spec(sandbox_input(labels=Labels(process="u:r:t:s0", mount="u:object_r:f:s0", run="")))
    assert spec.process is not None
    assert spec.linux is not None
    assert (spec.process.selinux_label, spec.linux.mount_label) == ("", "u:object_r:f:s0")


@pytest.mark.parametrize(
    ("context", "words"),
    [
        (Context(run_as_group=cri.Int64Value(value=1)), "a group needs a user"),
        (Context(run_as_user=cri.Int64Value(value=-1)), "out of range"),
        (Context(supplemental_groups=[1 << 40]), "supplemental_groups: id 1099511627776 is out of range"),
        (Context(seccomp=cri.SecurityProfile(localhost_ref="x")), "localhost_ref is 'x'"),
        (Context(namespace_options=cri.NamespaceOption(userns_options=OWN_USERS)), "has no user namespaces"),
        (Context(selinux_options=cri.SeLinuxOption(level="x")), "selinux_options.level"),
    ],
)
def test_what_a_pods_security_can_not_be_is_refused_before_anything_is_made(
    context: cri.LinuxSandboxSecurityContext, words: str
) -> None:
    with pytest.raises(InvalidArgument, match=words):
        check_security(pod_config(context), Policy(), FACTS, FakeHost())


def test_a_pod_that_asks_for_nothing_can_be() -> None:
    check_security(pod_config(), Policy(), FACTS, FakeHost())
