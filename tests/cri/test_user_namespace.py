"""What tasks are told of a pod's own users."""

from __future__ import annotations

import msgspec
import pytest

from cri_shim.api.containerd.types.runc.options import oci_pb2
from cri_shim.api.containerd.types.runtimeoptions.v1 import api_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.containerd import typeurl
from cri_shim.cri.runtime_handlers import Features
from cri_shim.cri.user_namespace import own_users, task_options
from cri_shim.oci.spec import User
from cri_shim.state.sandbox import RuntimeChoice

USERS = cri.UserNamespace(
    mode=cri.NamespaceMode.POD,
    uids=[cri.IdMapping(host_id=100_000, container_id=0, length=65_536)],
    gids=[cri.IdMapping(host_id=200_000, container_id=0, length=65_536)],
)


def test_a_tasks_pipes_belong_to_its_user_and_its_options_stay() -> None:
    runtime = RuntimeChoice("io.containerd.runc.v2", typeurl.pack(oci_pb2.Options(binary_name="/usr/bin/crun")))
    told = task_options(runtime, USERS, User(uid=7, gid=8))
    assert told is not None
    options = typeurl.unpack(told, oci_pb2.Options)
    assert (options.binary_name, options.io_uid, options.io_gid) == ("/usr/bin/crun", 100_007, 200_008)
    assert task_options(RuntimeChoice("io.containerd.runc.v2"), USERS, User(uid=0, gid=0)) is not None


def test_other_tasks_are_told_nothing() -> None:
    assert task_options(RuntimeChoice("io.containerd.runc.v2"), None, User(uid=0, gid=0)) is None
    other = RuntimeChoice("io.containerd.kata.v2", typeurl.pack(api_pb2.Options(config_path="/x")))
    assert task_options(other, USERS, User(uid=0, gid=0)) is None


def test_own_users_are_those_of_mode_pod() -> None:
    def linux(users: cri.UserNamespace | None) -> cri.LinuxPodSandboxConfig:
        options = cri.NamespaceOption(userns_options=users)
        return cri.LinuxPodSandboxConfig(security_context=cri.LinuxSandboxSecurityContext(namespace_options=options))

    assert own_users(linux(USERS)) == USERS
    assert own_users(linux(cri.UserNamespace(mode=cri.NamespaceMode.NODE))) is None
    assert own_users(linux(None)) is None
    assert own_users(None) is None


@pytest.mark.parametrize(
    ("document", "able"),
    [
        ({}, False),
        ({"linux": {"namespaces": ["user"]}}, False),
        ({"linux": {"namespaces": ["user"], "mountExtensions": {"idmap": {}}}}, False),
        ({"linux": {"namespaces": ["pid"], "mountExtensions": {"idmap": {"enabled": True}}}}, False),
        ({"linux": {"namespaces": ["user"], "mountExtensions": {"idmap": {"enabled": True}}}}, True),
    ],
)
def test_a_handler_has_user_namespaces_if_its_runtime_maps_mounts_too(document: object, able: bool) -> None:  # noqa: FBT001
    assert msgspec.convert(document, type=Features).to_cri().user_namespaces is able
