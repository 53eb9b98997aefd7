from __future__ import annotations

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.devices import check_fields, host_devices, wanted_devices
from cri_shim.oci.linux_spec import Device, DeviceRule
from cri_shim.oci.policy import Policy
from tests.oci.node import FakeHost, device

HOST = FakeHost(
    device_nodes={
        "/dev/null": [device("/dev/null")],
        "/dev/link": [device("/dev/null")],
        "/dev/dri": [device("/dev/dri/card0", "card0", 7), device("/dev/dri/by/x", "by/x", 8)],
        "/dev/empty": [],
        "/dev": [device("/dev/null", "null"), device("/dev/zero", "zero", 5)],
    }
)


def found(
    *wanted: cri.Device, context: cri.LinuxContainerSecurityContext | None = None, policy: Policy | None = None
) -> tuple[list[Device], list[DeviceRule]]:
    devices = wanted_devices(wanted, context or cri.LinuxContainerSecurityContext(), policy or Policy(), HOST)
    return devices.nodes, devices.rules


def test_a_device_is_made_where_asked_and_allowed_as_asked() -> None:
    nodes, rules = found(cri.Device(container_path="/dev/nil", host_path="/dev/null", permissions="rw"))
    assert nodes == [Device("/dev/nil", "c", 1, 3, file_mode=0o666, uid=0, gid=5)]
    assert rules == [DeviceRule(allow=True, type="c", major=1, minor=3, access="rw")]


def test_a_place_is_taken_as_it_is() -> None:
    nodes, _ = found(cri.Device(container_path="/dev//nil/", host_path="/dev/null"))
    assert nodes[0].path == "/dev//nil/"


def test_without_a_place_it_is_where_the_host_really_has_it() -> None:
    nodes, _ = found(cri.Device(host_path="/dev/link", permissions="r"))
    assert nodes[0].path == "/dev/null"


def test_a_directory_is_taken_device_by_device() -> None:
    nodes, rules = found(cri.Device(container_path="/dev/gpu", host_path="/dev/dri", permissions="rwm"))
    assert [node.path for node in nodes] == ["/dev/gpu/card0", "/dev/gpu/by/x"]
    assert [rule.minor for rule in rules] == [7, 8]
    nodes, _ = found(cri.Device(host_path="/dev/dri"))
    assert [node.path for node in nodes] == ["/dev/dri/card0", "/dev/dri/by/x"]


def test_an_empty_directory_brings_nothing() -> None:
    assert found(cri.Device(container_path="/d", host_path="/dev/empty")) == ([], [])


def test_what_is_no_device_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"config.devices: host_path '/etc' can't be had: not a device node"):
        found(cri.Device(container_path="/d", host_path="/etc"))


@pytest.mark.parametrize(("uid", "gid", "owner"), [(1000, 2000, (1000, 2000)), (0, 0, (0, 5)), (None, None, (0, 5))])
def test_devices_can_belong_to_the_user_that_runs(uid: int | None, gid: int | None, owner: tuple[int, int]) -> None:
    context = cri.LinuxContainerSecurityContext(
        run_as_user=None if uid is None else cri.Int64Value(value=uid),
        run_as_group=None if gid is None else cri.Int64Value(value=gid),
    )
    asked = cri.Device(container_path="/d", host_path="/dev/null")
    policy = Policy(device_ownership_from_security_context=True)
    nodes, _ = found(asked, context=context, policy=policy)
    assert (nodes[0].uid, nodes[0].gid) == owner
    nodes, _ = found(asked, context=context)
    assert (nodes[0].uid, nodes[0].gid) == (0, 5)


def test_all_devices_are_where_the_host_has_them() -> None:
    assert [node.path for node in host_devices(HOST)] == ["/dev/null", "/dev/zero"]


def test_devices_that_cannot_be_listed_are_said_with_the_setting_that_leaves_them_out() -> None:
    with pytest.raises(InvalidArgument, match=r"privileged_without_host_devices"):
        host_devices(FakeHost())


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (cri.Device(container_path="dev/x"), "d.container_path is 'dev/x': it must be an absolute path"),
        (cri.Device(host_path="x"), "d.host_path is 'x'"),
        (cri.Device(permissions="rwx"), r"d.permissions is 'rwx': they are r \(read\), w \(write\) and m"),
    ],
)
def test_values_that_say_nothing_are_refused_by_their_field(wanted: cri.Device, words: str) -> None:
    check_fields("d", cri.Device(container_path="/x", host_path="/dev/null", permissions="mrw"))
    with pytest.raises(InvalidArgument, match=words):
        check_fields("d", wanted)
