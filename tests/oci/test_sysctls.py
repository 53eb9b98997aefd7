from __future__ import annotations

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.policy import Policy
from cri_shim.oci.sysctls import PING_RANGE, PORT_START, check_sysctls, sysctls
from tests.oci.node import FACTS, NODE, POD, facts


def test_everybody_may_bind_low_ports_and_ping_in_the_pods_own_network() -> None:
    assert sysctls({}, POD, Policy(), FACTS, own_users=False) == {PORT_START: "0", PING_RANGE: "0 2147483647"}


def test_what_the_pod_sets_itself_stays() -> None:
    wanted = {PORT_START: "80", PING_RANGE: "1 0", "kernel.shm_rmid_forced": "1"}
    assert sysctls(wanted, POD, Policy(), FACTS, own_users=False) == wanted


def test_nothing_is_added_in_the_nodes_network() -> None:
    assert sysctls({"a.b": "1"}, NODE, Policy(), FACTS, own_users=False) == {"a.b": "1"}


def test_settings_switch_them_off() -> None:
    policy = Policy(enable_unprivileged_ports=False, enable_unprivileged_icmp=False)
    assert sysctls({}, POD, policy, FACTS, own_users=False) == {}


@pytest.mark.parametrize(("in_user_namespace", "own_users"), [(True, False), (False, True)])
def test_a_user_namespace_has_no_ping_range_since_its_groups_are_not_mapped(
    *, in_user_namespace: bool, own_users: bool
) -> None:
    node = facts(in_user_namespace=in_user_namespace)
    assert sysctls({}, POD, Policy(), node, own_users=own_users) == {PORT_START: "0"}


ON_NODE = cri.NamespaceOption(network=NODE, ipc=NODE)


@pytest.mark.parametrize(
    "name", ["net.core.somaxconn", "net/core/somaxconn", "kernel.sem", "fs.mqueue.msg_max", "kernel.domainname"]
)
def test_a_sysctl_is_refused_where_the_pod_shares_its_namespace(name: str) -> None:
    check_sysctls({name: "1"}, cri.NamespaceOption())
    with pytest.raises(InvalidArgument, match=r"config\.linux\.sysctls has"):
        check_sysctls({name: "1"}, ON_NODE)


def test_a_sysctl_of_no_namespace_is_refused() -> None:
    check_sysctls({"kernel.domainname": "x"}, cri.NamespaceOption())
    with pytest.raises(InvalidArgument, match=r"set config\.hostname"):
        check_sysctls({"kernel.hostname": "x"}, cri.NamespaceOption())
    with pytest.raises(InvalidArgument, match="no namespace has it"):
        check_sysctls({"vm.swappiness": "1"}, cri.NamespaceOption())
