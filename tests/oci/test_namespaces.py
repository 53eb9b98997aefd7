from __future__ import annotations

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.linux_spec import IdMapping, Namespace
from cri_shim.oci.namespaces import (
    UserMappings,
    check_container_options,
    check_pod_options,
    check_same_users,
    container_namespaces,
    sandbox_namespaces,
    user_mappings,
)
from cri_shim.oci.policy import Policy
from tests.oci.node import MAPPING, NODE, OWN_USERS, POD

CONTAINER, TARGET = cri.NamespaceMode.CONTAINER, cri.NamespaceMode.TARGET
DEFAULT = [Namespace(kind) for kind in ("pid", "ipc", "uts", "mount", "network")]
ABLE = Policy(user_namespaces=True)


def sandbox(options: cri.NamespaceOption, *, own_users: bool = False, userns_path: str = "") -> list[Namespace]:
    return sandbox_namespaces(options, "/run/netns/x", own_users=own_users, userns_path=userns_path)


def container(pid: cri.NamespaceMode, base: list[Namespace] = DEFAULT, **has: bool) -> list[Namespace]:
    own_cgroup, own_users = has.get("own_cgroup", False), has.get("own_users", False)
    return container_namespaces(base, pid, 42, 77, own_cgroup=own_cgroup, own_users=own_users)


def test_a_pod_has_namespaces_of_its_own_and_the_network_that_was_made_for_it() -> None:
    assert sandbox(cri.NamespaceOption()) == [*DEFAULT[:4], Namespace("network", "/run/netns/x")]


@pytest.mark.parametrize(
    ("options", "shared"),
    [
        (cri.NamespaceOption(network=NODE), {"network", "uts"}),
        (cri.NamespaceOption(pid=NODE), {"pid"}),
        (cri.NamespaceOption(ipc=NODE), {"ipc"}),
        (cri.NamespaceOption(pid=CONTAINER), set()),
        (cri.NamespaceOption(network=NODE, pid=NODE, ipc=NODE), {"network", "uts", "pid", "ipc"}),
    ],
)
def test_what_is_shared_with_the_node_is_left_out(options: cri.NamespaceOption, shared: set[str]) -> None:
    kinds = {namespace.type for namespace in sandbox(options)}
    assert kinds == {"pid", "ipc", "uts", "mount", "network"} - shared


def test_a_user_namespace_comes_last_at_its_pinned_path() -> None:
    assert sandbox(cri.NamespaceOption(), own_users=True)[-1] == Namespace("user")
    assert sandbox(cri.NamespaceOption(), own_users=True, userns_path="/p")[-1] == Namespace("user", "/p")


def test_a_container_joins_the_pause_process() -> None:
    assert container(POD, own_cgroup=True, own_users=True) == [
        Namespace("pid", "/proc/42/ns/pid"),
        Namespace("ipc", "/proc/42/ns/ipc"),
        Namespace("uts", "/proc/42/ns/uts"),
        Namespace("mount"),
        Namespace("network", "/proc/42/ns/net"),
        Namespace("cgroup"),
        Namespace("user", "/proc/42/ns/user"),
    ]


@pytest.mark.parametrize(
    ("pid", "path"), [(POD, "/proc/42/ns/pid"), (NODE, "/proc/42/ns/pid"), (CONTAINER, ""), (TARGET, "/proc/77/ns/pid")]
)
def test_processes_are_seen_by_mode(pid: cri.NamespaceMode, path: str) -> None:
    assert container(pid)[0] == Namespace("pid", path)


def test_a_base_specs_namespaces_stay_in_their_places() -> None:
    base = [Namespace("time"), Namespace("network", "/elsewhere")]
    found = container(CONTAINER, base)
    assert found[:2] == [Namespace("time"), Namespace("network", "/proc/42/ns/net")]
    assert [namespace.type for namespace in found[2:]] == ["ipc", "uts"]


def test_no_options_and_mode_node_are_the_nodes_users() -> None:
    assert user_mappings(None, ABLE) is None
    assert user_mappings(cri.UserNamespace(mode=NODE), ABLE) is None


def test_a_pods_own_users_are_one_mapping_each() -> None:
    mapping = [IdMapping(container_id=0, host_id=100000, size=65536)]
    assert user_mappings(OWN_USERS, ABLE) == UserMappings(mapping, mapping)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (cri.UserNamespace(mode=NODE, uids=[MAPPING]), "mode NODE can't have uids or gids"),
        (cri.UserNamespace(mode=NODE, gids=[MAPPING]), "mode NODE can't have uids or gids"),
        (cri.UserNamespace(mode=CONTAINER), "unsupported user namespace mode CONTAINER: use POD or NODE"),
        (cri.UserNamespace(mode=cri.NamespaceMode(9)), "unsupported user namespace mode 9"),
        (cri.UserNamespace(mode=POD), "userns_options.uids must be exactly one mapping"),
        (cri.UserNamespace(mode=POD, uids=[MAPPING]), "userns_options.gids must be exactly one mapping"),
        (cri.UserNamespace(mode=POD, uids=[MAPPING] * 2, gids=[MAPPING]), "there are 2, of lengths [65536, 65536]"),
        (cri.UserNamespace(mode=POD, uids=[cri.IdMapping()], gids=[MAPPING]), "there are 1, of lengths [0]"),
    ],
)
def test_a_user_namespace_that_cannot_be_is_refused_by_field(wanted: cri.UserNamespace, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        user_mappings(wanted, ABLE)
    assert words in str(caught.value)
    assert "config.linux.security_context.namespace_options.userns_options" in str(caught.value)


def test_a_runtime_without_user_namespaces_refuses_and_says_so() -> None:
    with pytest.raises(InvalidArgument, match=r"mode is POD, but the pod's runtime has no user namespaces.*NODE"):
        user_mappings(OWN_USERS, Policy(user_namespaces=False))


def test_a_containers_users_are_its_pods() -> None:
    check_same_users(None, None)
    check_same_users(OWN_USERS, OWN_USERS)
    check_same_users(None, cri.UserNamespace(mode=NODE))
    other = cri.UserNamespace(mode=POD, uids=[MAPPING], gids=[cri.IdMapping(host_id=1, length=1)])
    for sandbox_users, container_users in ((OWN_USERS, None), (None, OWN_USERS), (OWN_USERS, other)):
        with pytest.raises(InvalidArgument, match=r"different from container.*share their pod's"):
            check_same_users(sandbox_users, container_users)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (cri.NamespaceOption(pid=TARGET), "namespace_options.pid is TARGET: use POD or CONTAINER or NODE"),
        (cri.NamespaceOption(network=TARGET), "namespace_options.network is TARGET"),
        (cri.NamespaceOption(ipc=cri.NamespaceMode(9)), "namespace_options.ipc is 9"),
    ],
)
def test_a_mode_that_a_pod_can_not_have_is_refused(options: cri.NamespaceOption, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        check_pod_options(options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (cri.NamespaceOption(network=CONTAINER), "namespace_options.network is CONTAINER: use POD or NODE"),
        (cri.NamespaceOption(ipc=TARGET), "namespace_options.ipc is TARGET: use POD or NODE"),
        (cri.NamespaceOption(pid=cri.NamespaceMode(9)), "namespace_options.pid is 9: use"),
        (cri.NamespaceOption(pid=TARGET), "namespace_options.target_id is empty"),
    ],
)
def test_a_mode_that_a_container_can_not_have_is_refused(options: cri.NamespaceOption, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        check_container_options(options)


def test_modes_that_can_be_are_not_refused() -> None:
    for mode in (POD, CONTAINER, NODE):
        check_pod_options(cri.NamespaceOption(network=mode, pid=mode, ipc=mode))
        check_container_options(cri.NamespaceOption(pid=mode))
    check_container_options(cri.NamespaceOption(network=NODE, ipc=NODE, pid=TARGET, target_id="c"))
