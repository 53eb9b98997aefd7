from __future__ import annotations

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.container import PodFiles, volume_mount
from cri_shim.oci.container_mounts import container_mounts, wanted_mounts
from cri_shim.oci.defaults import default_mounts
from cri_shim.oci.linux_spec import Namespace
from cri_shim.oci.policy import Policy
from cri_shim.oci.selinux import Labels
from cri_shim.oci.spec import Mount
from tests.oci.node import FILES, NODE, OWN_USERS, FakeHost, container_input, facts, pod_config

POD_PLACES = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/dev/shm"]
IN_OWN_USERS = cri.NamespaceOption(userns_options=OWN_USERS)


def context(**fields: object) -> cri.LinuxContainerSecurityContext:
    return cri.LinuxContainerSecurityContext(**fields)  # type: ignore[arg-type]


def test_a_container_gets_its_pods_files() -> None:
    found = wanted_mounts(container_input())
    assert [(mount.container_path, mount.host_path, mount.readonly) for mount in found] == [
        (place, path, False) for place, path in zip(POD_PLACES, vars(FILES).values(), strict=True)
    ]


def test_files_that_the_pod_lacks_are_left_out() -> None:
    assert wanted_mounts(container_input(files=PodFiles())) == []


def test_with_a_read_only_root_the_files_are_too_but_not_shared_memory() -> None:
    found = wanted_mounts(container_input(context=context(readonly_rootfs=True)))
    assert [mount.readonly for mount in found] == [True, True, True, False]


def test_in_a_user_namespace_files_and_volumes_are_id_mapped_but_not_shared_memory() -> None:
    given = container_input(
        context=context(namespace_options=IN_OWN_USERS),
        volumes=[volume_mount("/vol", "/var/lib/db")],
        policy=Policy(user_namespaces=True),
    )
    found = {mount.container_path: mount for mount in wanted_mounts(given)}
    for place in ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/var/lib/db"):
        assert found[place].uid_mappings == OWN_USERS.uids
        assert found[place].gid_mappings == OWN_USERS.gids
    assert not found["/dev/shm"].uid_mappings


def test_a_volume_of_the_image_gives_way_to_a_mount_of_the_request() -> None:
    config = cri.ContainerConfig(mounts=[cri.Mount(container_path="/data", host_path="/srv")])
    volumes = [volume_mount("/vol/1", "/data/"), volume_mount("/vol/2", "/cache")]
    found = wanted_mounts(container_input(config, files=PodFiles(), volumes=volumes))
    assert [(mount.container_path, mount.host_path) for mount in found] == [("/data", "/srv"), ("/cache", "/vol/2")]


def test_the_pods_files_and_volumes_are_relabelled_but_never_the_nodes_shared_memory() -> None:
    labels = Labels(mount="u:object_r:f:s0:c1,c2")
    volumes = [volume_mount("/vol", "/var/lib/db")]
    host, node_ipc = FakeHost(), FakeHost()
    given = container_input(volumes=volumes, labels=labels, host=host)
    container_mounts([], [], wanted_mounts(given), given)
    assert host.labels == dict.fromkeys([*vars(FILES).values(), "/vol"], labels.mount)
    given = container_input(files=PodFiles(shm="/dev/shm"), labels=labels, host=node_ipc)
    container_mounts([], [], wanted_mounts(given), given)
    assert node_ipc.labels == {}


def test_a_mount_of_an_image_is_made_from_where_it_was_mounted() -> None:
    image = cri.ImageSpec(image="data:1")
    config = cri.ContainerConfig(mounts=[cri.Mount(container_path="/m", host_path="/state/m", image=image)])
    assert [mount.host_path for mount in wanted_mounts(container_input(config, files=PodFiles()))] == ["/state/m"]


def test_a_bad_mount_is_refused_before_the_host_is_asked() -> None:
    host = FakeHost()
    config = cri.ContainerConfig(
        mounts=[cri.Mount(container_path="/a", host_path="/new"), cri.Mount(container_path="/b", host_path="x")]
    )
    with pytest.raises(InvalidArgument):
        wanted_mounts(container_input(config, host=host))
    assert host.asked == []


def cgroup_options(*namespaces: Namespace, **changed: object) -> list[str]:
    given = container_input(facts=facts(cgroup_mount_options=("nsdelegate",)), **changed)
    found = container_mounts(default_mounts(), namespaces, [], given)
    return next(mount.options for mount in found if mount.destination == "/sys/fs/cgroup")


def test_the_nodes_cgroup_options_are_kept_only_where_the_namespace_is_the_nodes() -> None:
    assert cgroup_options()[-2:] == ["ro", "nsdelegate"]
    assert cgroup_options(Namespace("cgroup"))[-1] == "ro"
    assert cgroup_options(Namespace("cgroup"), policy=Policy(cgroup_writable=True))[-1] == "rw"


def test_a_base_specs_run_is_dropped() -> None:
    found = container_mounts([Mount("/run", "tmpfs"), Mount("/run/x")], [], [], container_input())
    assert [mount.destination for mount in found] == ["/run/x", "/sys/fs/cgroup"]


def test_with_the_nodes_network_and_own_users_sys_is_the_nodes() -> None:
    sandbox = pod_config(cri.LinuxSandboxSecurityContext(namespace_options=cri.NamespaceOption(network=NODE)))
    given = container_input(context=context(namespace_options=IN_OWN_USERS), sandbox=sandbox)
    found = container_mounts(default_mounts(), [], [], given)
    assert next(mount for mount in found if mount.destination == "/sys").type == "bind"


def test_privileged_makes_the_kernels_files_writable() -> None:
    found = container_mounts(default_mounts(), [], [], container_input(context=context(privileged=True)))
    assert ["rw" in mount.options for mount in found if mount.destination.startswith("/sys")] == [True, True]
