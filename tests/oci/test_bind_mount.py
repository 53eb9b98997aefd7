from __future__ import annotations

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.bind_mount import bind, check, check_fields, rootfs_propagation
from cri_shim.oci.host_view import HostMount, Propagation
from cri_shim.oci.linux_spec import IdMapping
from cri_shim.oci.policy import Policy
from cri_shim.oci.spec import Mount
from tests.oci.node import MAPPING, FakeHost

PRIVATE = cri.MountPropagation.PROPAGATION_PRIVATE
SLAVE = cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER
SHARED = cri.MountPropagation.PROPAGATION_BIDIRECTIONAL
ABLE = Policy(recursive_read_only_mounts=True)


def mount(**fields: object) -> cri.Mount:
    return cri.Mount(**{"container_path": "/data", "host_path": "/srv/data", **fields})  # type: ignore[arg-type]


def options(host: FakeHost | None = None, **fields: object) -> list[str]:
    return bind(mount(**fields), host or FakeHost()).options


def on(propagation: Propagation) -> FakeHost:
    return FakeHost(mounts={"/srv/data": HostMount("/srv", propagation)})


def test_a_mount_is_a_private_writable_bind_of_the_real_path() -> None:
    host = FakeHost(links={"/srv/data": "/disk1/data"})
    found = bind(mount(container_path="/data/"), host)
    assert found == Mount("/data/", "bind", "/disk1/data", ["rbind", "rprivate", "rw"])


@pytest.mark.parametrize(
    ("fields", "access"),
    [({"readonly": True}, "ro"), ({"readonly": True, "recursive_read_only": True}, "rro"), ({}, "rw")],
)
def test_access(fields: dict[str, bool], access: str) -> None:
    assert options(**fields)[-1] == access


def test_options_of_its_own_come_last_each_once() -> None:
    asked = ["nosuid", "noexec", "nosuid", "nodev"]
    assert options(readonly=True, mount_options=asked) == ["rbind", "rprivate", "ro", "nosuid", "noexec", "nodev"]
    check_fields("m", mount(mount_options=asked))


@pytest.mark.parametrize("option", ["rw", "rshared", "suid", "idmap", "NOEXEC", "", "noexec,nodev"])
def test_no_other_options_are_taken(option: str) -> None:
    with pytest.raises(InvalidArgument, match=r"config\.mounts\[3\]\.mount_options has .*: there may be noexec, nodev"):
        check_fields("config.mounts[3]", mount(mount_options=["noexec", option]))


def mapping(container_id: int = 0, host_id: int = 5, length: int = 10) -> cri.IdMapping:
    return cri.IdMapping(container_id=container_id, host_id=host_id, length=length)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"container_path": "/a\0b"}, "m.container_path is '/a\\x00b'"),
        ({"host_path": "\0"}, "m.host_path is"),
        ({"propagation": cri.MountPropagation(9)}, "m.propagation is 9: use PROPAGATION_PRIVATE or"),
        ({"uid_mappings": [mapping()]}, "m.gid_mappings is empty"),
        ({"gid_mappings": [mapping()]}, "m.uid_mappings is empty"),
        ({"uid_mappings": [mapping(length=0)]}, "m.uid_mappings[0] is 0:5:0"),
        ({"uid_mappings": [mapping()], "gid_mappings": [mapping(), mapping(host_id=2**32 - 2)]}, "m.gid_mappings[1]"),
        ({"uid_mappings": [mapping(container_id=2**32 - 2)], "gid_mappings": [mapping()]}, "m.uid_mappings[0]"),
    ],
)
def test_values_that_say_nothing_are_refused_by_their_field(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_fields("m", mount(**fields))
    assert words in str(caught.value)


def test_what_can_be_is_not_refused() -> None:
    check_fields("m", mount(uid_mappings=[mapping()], gid_mappings=[mapping(host_id=2**32 - 11)], propagation=SLAVE))


def test_ids_are_not_mapped_by_a_runtime_that_would_leave_that_out() -> None:
    mapped = mount(uid_mappings=[MAPPING], gid_mappings=[MAPPING])
    check(mapped, Policy(user_namespaces=True))
    with pytest.raises(InvalidArgument, match="mount at '/data' has uid_mappings and gid_mappings, but"):
        check(mapped, Policy())


def test_ids_are_mapped_where_asked() -> None:
    found = bind(mount(uid_mappings=[MAPPING], gid_mappings=[MAPPING]), FakeHost())
    assert found.uid_mappings == found.gid_mappings == [IdMapping(0, 100000, 65536)]


@pytest.mark.parametrize(
    ("wanted", "found", "option"),
    [
        (PRIVATE, Propagation.PRIVATE, "rprivate"),
        (PRIVATE, Propagation.SHARED, "rprivate"),
        (SLAVE, Propagation.SLAVE, "rslave"),
        (SLAVE, Propagation.SHARED, "rslave"),
        (SHARED, Propagation.SHARED, "rshared"),
    ],
)
def test_propagation(wanted: cri.MountPropagation, found: Propagation, option: str) -> None:
    assert options(on(found), propagation=wanted)[1] == option


@pytest.mark.parametrize(
    ("wanted", "found", "words"),
    [
        (SLAVE, Propagation.PRIVATE, "is mounted on '/srv' but it is not a shared or slave mount"),
        (SHARED, Propagation.PRIVATE, "is mounted on '/srv' but it is not a shared mount"),
        (SHARED, Propagation.SLAVE, "is mounted on '/srv' but it is not a shared mount"),
    ],
)
def test_a_source_that_does_not_propagate_is_refused_naming_its_mount(
    wanted: cri.MountPropagation, found: Propagation, words: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        bind(mount(propagation=wanted), on(found))
    assert f"the mount at '/data': path '/srv/data' {words}" in str(caught.value)
    assert "--make-rshared /srv" in str(caught.value)


def test_a_source_that_cannot_be_had_is_refused_with_the_reason() -> None:
    with pytest.raises(InvalidArgument, match=r"'/data': its host_path '/srv/data' can't be had: Permission denied"):
        bind(mount(), FakeHost(broken=frozenset({"/srv/data"})))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"container_path": ""}, "the mount of '/srv/data' has no container_path"),
        ({"host_path": ""}, "the mount at '/data' has the host_path ''"),
        ({"host_path": "srv"}, "it must be an absolute path"),
        ({"recursive_read_only": True}, "but not for readonly"),
        (
            {"readonly": True, "recursive_read_only": True, "propagation": SLAVE},
            "must be PROPAGATION_PRIVATE, not PROPAGATION_HOST_TO_CONTAINER",
        ),
        ({"readonly": True, "recursive_read_only": True, "propagation": cri.MountPropagation(9)}, "not 9"),
    ],
)
def test_what_no_host_could_mount_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check(mount(**fields), ABLE)
    assert words in str(caught.value)


def test_a_runtime_without_recursive_read_only_is_told_as_the_kubelet_looks_for_it() -> None:
    wanted = mount(readonly=True, recursive_read_only=True)
    check(wanted, ABLE)
    with pytest.raises(InvalidArgument, match=r"^RROUnsupported: config.mounts: the mount at '/data'"):
        check(wanted, Policy(recursive_read_only_mounts=False))


@pytest.mark.parametrize(
    ("base", "wanted", "expected"),
    [
        ("", [], ""),
        ("", [PRIVATE], ""),
        ("rslave", [PRIVATE], "rslave"),
        ("", [SLAVE], "rslave"),
        ("private", [SLAVE], "rslave"),
        ("rshared", [SLAVE], "rshared"),
        ("", [SLAVE, SHARED], "rshared"),
        ("", [SHARED, SLAVE], "rshared"),
    ],
)
def test_the_root_propagates_what_its_mounts_need(base: str, wanted: list[cri.MountPropagation], expected: str) -> None:
    assert rootfs_propagation(base, [mount(propagation=item) for item in wanted]) == expected


LABEL = "system_u:object_r:container_file_t:s0:c1,c2"


def test_a_source_is_relabelled_where_asked_and_there_is_a_label() -> None:
    host = FakeHost(links={"/srv/data": "/disk1/data"})
    bind(mount(), host, LABEL)
    bind(mount(selinux_relabel=True), host)
    assert host.labels == {}
    bind(mount(selinux_relabel=True), host, LABEL)
    assert host.labels == {"/disk1/data": LABEL}


def test_a_source_that_must_keep_its_label_is_refused() -> None:
    host = FakeHost(links={"/srv/data": "/usr"}, broken=frozenset({"/usr"}))
    with pytest.raises(
        InvalidArgument, match=r"mount at '/data' asks for selinux_relabel: '/usr' can't have the label"
    ):
        bind(mount(selinux_relabel=True), host, LABEL)
