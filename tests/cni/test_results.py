"""Results: read in every version, converted, combined into what is stored, and the pod's addresses chosen."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim import errors
from cri_shim.cni import plugin_result, result, versions
from cri_shim.cni.result import CniResult

V4 = st.ip_addresses(v=4).map("{}/24".format)
V6 = st.ip_addresses(v=6).map("{}/64".format)
PER_FAMILY = {
    "cniVersion": "0.2.0",
    "ip4": {"ip": "10.0.0.5/24", "gateway": "10.0.0.1", "routes": [{"dst": "0.0.0.0/0"}]},
    "ip6": {"ip": "fd00::5/64"},
    "dns": {"nameservers": ["10.0.0.53"]},
}


def encoded(value):
    return json.dumps(value).encode()


def test_the_old_form_is_read_as_the_new():
    parsed = plugin_result.parse(encoded(PER_FAMILY))
    assert [(one.address, one.gateway) for one in parsed.ips] == [("10.0.0.5/24", "10.0.0.1"), ("fd00::5/64", None)]
    assert [one.dst for one in parsed.routes] == ["0.0.0.0/0"]
    assert parsed.dns.nameservers == ["10.0.0.53"]


def test_a_result_of_the_wanted_version_is_left_to_the_byte():
    raw = b'{ "cniVersion" : "1.0.0", "x": 1.0 }'
    assert plugin_result.convert(raw, "1.0.0") is raw


@given(st.lists(V4, max_size=1), st.lists(V6, max_size=1), st.sampled_from(versions.SUPPORTED))
def test_every_version_holds_an_address_of_each_family(v4, v6, version):
    raw = encoded({"cniVersion": "1.0.0", "ips": [{"address": one} for one in v4 + v6]})
    if not v4 + v6 and version in ("0.1.0", "0.2.0"):
        with pytest.raises(errors.InvalidArgument, match="needs an address"):
            plugin_result.convert(raw, version)
        return
    converted = plugin_result.convert(raw, version)
    assert json.loads(converted)["cniVersion"] == version
    assert [one.address for one in plugin_result.parse(converted).ips or ()] == v4 + v6
    back = plugin_result.parse(plugin_result.convert(converted, "1.1.0"))
    assert [(one.address, one.version) for one in back.ips or ()] == [(one, None) for one in v4 + v6]


def test_what_an_older_version_has_no_place_for_is_left_out():
    interface = {"name": "eth0", "mac": "m", "mtu": 1500, "sandbox": "s", "socketPath": "/x", "pciID": "0:1"}
    raw = encoded(
        {"cniVersion": "1.1.0", "interfaces": [interface], "ips": [{"address": "fd00::1/64", "interface": 0}]}
    )
    assert json.loads(plugin_result.convert(raw, "0.3.1")) == {
        "cniVersion": "0.3.1",
        "interfaces": [{"name": "eth0", "mac": "m", "sandbox": "s"}],
        "ips": [{"address": "fd00::1/64", "interface": 0, "version": "6"}],
    }


@pytest.mark.parametrize(
    "value",
    [
        {"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.5"}]},
        {"cniVersion": "1.0.0", "ips": [{"address": "ten/24"}]},
        {"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.5/24", "interface": 0}]},
        {"cniVersion": "1.0.0", "interfaces": [{"name": "a"}], "ips": [{"address": "10.0.0.5/24", "interface": -1}]},
        {"cniVersion": "1.0.0", "interfaces": [{}]},
        {"cniVersion": "3.0.0"},
        {"cniVersion": 1},
    ],
)
def test_a_result_that_is_none_is_refused(value):
    with pytest.raises(errors.InvalidArgument):
        plugin_result.parse(encoded(value))


@given(st.binary())
def test_any_bytes_are_a_result_or_refused(data):
    try:
        plugin_result.parse(plugin_result.with_version(data, "1.0.0"))
    except errors.InvalidArgument:
        return


def combined(*values: object):
    return result.combine([plugin_result.parse(encoded(value)) for value in values])


def test_addresses_are_written_as_go_writes_them():
    outcome = combined({"cniVersion": "1.0.0", "ips": [{"address": "FD00:0:0::5/64", "gateway": "::ffff:10.0.0.1"}]})
    (one,) = outcome.interfaces["eth0"].ip_configs
    assert (one.ip, one.gateway) == ("fd00::5", "10.0.0.1")


def test_a_result_without_anything_has_an_empty_eth0():
    assert combined({"cniVersion": "1.0.0"}).to_json_value() == {
        "Interfaces": {"eth0": {"IPConfigs": None, "Mac": "", "Sandbox": "", "PciID": "", "SocketPath": ""}},
        "DNS": [{}],
        "Routes": None,
    }


def test_what_is_stored_is_read_again_and_so_is_what_older_ones_stored():
    outcome = combined(PER_FAMILY)
    assert CniResult.from_json_value(outcome.to_json_value()) == outcome
    older = {"Interfaces": {"eth0": {"IPConfigs": [{"IP": "10.0.0.5", "Gateway": ""}], "Mac": "", "Sandbox": ""}}}
    assert CniResult.from_json_value(older).pod_ips("") == ("10.0.0.5", [])
    with pytest.raises(errors.DataLoss):
        CniResult.from_json_value({"Interfaces": []})


@pytest.mark.parametrize(
    ("preference", "addresses", "chosen"),
    [
        ("", ["fd00::1/64", "10.0.0.1/24", "10.0.0.2/24"], ("10.0.0.1", ["fd00::1", "10.0.0.2"])),
        ("ipv4", ["10.0.0.1/24", "fd00::1/64"], ("10.0.0.1", ["fd00::1"])),
        ("ipv6", ["10.0.0.1/24", "fd00::1/64"], ("fd00::1", ["10.0.0.1"])),
        ("ipv6", ["10.0.0.1/24", "10.0.0.2/24"], ("10.0.0.1", ["10.0.0.2"])),
        ("cni", ["fd00::1/64", "10.0.0.1/24"], ("fd00::1", ["10.0.0.1"])),
        ("what", ["fd00::1/64", "10.0.0.1/24"], ("10.0.0.1", ["fd00::1"])),
        ("ipv6", ["10.0.0.1/24"], ("10.0.0.1", [])),
    ],
)
def test_the_pods_address_is_chosen_by_preference_and_the_others_keep_their_order(preference, addresses, chosen):
    outcome = combined({"cniVersion": "1.0.0", "ips": [{"address": one} for one in addresses]})
    assert outcome.pod_ips(preference) == chosen


def test_a_pod_without_an_address_is_an_error_that_names_the_interfaces():
    with pytest.raises(errors.Unknown, match=r"no address, only the interfaces \['eth0', 'net1'\]"):
        combined({"cniVersion": "1.0.0", "interfaces": [{"name": "net1"}]}).pod_ips("")
