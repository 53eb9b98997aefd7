"""Attaching pods: what plugins are told, in which order, and what comes of their answers."""

from __future__ import annotations

import base64
import json

import anyio
import msgspec
import pytest

from cri_shim import errors
from cri_shim.cni.plugin import MissingPlugin, PluginError

pytestmark = pytest.mark.anyio


async def test_plugins_run_in_order_each_with_the_result_of_the_one_before(node):
    node.conflist("bridge", "portmap", "firewall")
    first, second = node.result(), {**node.result(), "extra": {"kept": 1.0}}
    node.plugin("bridge", ADD=node.answer(first))
    node.plugin("portmap", ADD=node.answer(second))
    node.plugin("firewall", ADD="cat $at.stdin | sed 's/.*\"prevResult\":\\({.*}\\)}$/\\1/'")
    cni = await node.loaded()
    await cni.add(node.attachment())
    assert node.calls() == ["ADD bridge eth0", "ADD portmap eth0", "ADD firewall eth0"]
    assert "prevResult" not in node.stdin("bridge", "ADD")
    assert node.stdin("portmap", "ADD")["prevResult"] == first
    assert node.stdin("firewall", "ADD")["prevResult"] == second


async def test_a_plugin_reads_its_own_keys_as_written_and_the_networks_name_and_version(node):
    node.conf(
        "10-net.conflist",
        '{"name": "net", "cniVersion": "0.4.0", "plugins": [{"type": "p", "big": 12345678901234567890, "f": 1.0,'
        ' "name": "other", "ipam": {"type": "host-local", "x": [1, {"y": null}]}}]}',
    )
    node.plugin("p", ADD=node.answer(node.result(version="0.4.0")))
    cni = await node.loaded()
    await cni.add(node.attachment())
    text = (node.root / "state/p.ADD.stdin").read_text()
    assert '"big":12345678901234567890,"f":1.0' in text
    assert json.loads(text) == {
        "type": "p",
        "big": 12345678901234567890,
        "f": 1.0,
        "ipam": {"type": "host-local", "x": [1, {"y": None}]},
        "name": "net",
        "cniVersion": "0.4.0",
    }


async def test_the_environment_is_ours_and_what_the_specification_asks_for(node, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    node.conflist("p")
    node.plugin("p", ADD=node.answer(node.result()))
    cni = await node.loaded()
    await cni.add(node.attachment())
    env = node.env("p", "ADD")
    assert {key: value for key, value in env.items() if key.startswith("CNI_")} == {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "abc",
        "CNI_NETNS": node.netns,
        "CNI_IFNAME": "eth0",
        "CNI_ARGS": "K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=abc",
        "CNI_PATH": str(node.root / "bin"),
    }
    assert env["KUBERNETES_SERVICE_HOST"] == "10.0.0.1"


async def test_a_capability_reaches_those_plugins_only_that_ask_for_it(node):
    asks = {"type": "portmap", "capabilities": {"portMappings": True, "dns": False, "aliases": True}}
    node.conflist("bridge", asks)
    node.plugin("bridge", ADD=node.answer(node.result()))
    node.plugin("portmap", ADD=node.answer(node.result()))
    cni = await node.loaded()
    mappings = [{"HostPort": 80, "ContainerPort": 8080, "Protocol": "tcp", "HostIP": ""}]
    values = {"portMappings": json.dumps(mappings).encode(), "dns": b"{}"}
    await cni.add(node.attachment(capabilities=raw(values)))
    assert "runtimeConfig" not in node.stdin("bridge", "ADD")
    assert node.stdin("portmap", "ADD")["runtimeConfig"] == {"portMappings": mappings}


def raw(values):
    return {name: msgspec.Raw(value) for name, value in values.items()}


async def test_the_result_is_what_containerd_would_store(node):
    node.conflist("p")
    node.plugin("p", ADD=node.answer(node.result()))
    cni = await node.loaded()
    outcome = await cni.add(node.attachment())
    assert outcome.to_json_value() == {
        "Interfaces": {
            "cni0": {"IPConfigs": None, "Mac": "aa:aa:aa:aa:aa:aa", "Sandbox": "", "PciID": "", "SocketPath": ""},
            "eth0": {
                "IPConfigs": [{"IP": "10.1.0.5", "Gateway": "10.1.0.1"}],
                "Mac": "bb:bb:bb:bb:bb:bb",
                "Sandbox": "/netns",
                "PciID": "",
                "SocketPath": "",
            },
            "lo": {
                "IPConfigs": [{"IP": "127.0.0.1", "Gateway": ""}, {"IP": "::1", "Gateway": ""}],
                "Mac": "00:00:00:00:00:00",
                "Sandbox": node.netns,
                "PciID": "",
                "SocketPath": "",
            },
        },
        "DNS": [{}, {}],
        "Routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}],
    }


async def test_with_the_internal_loopback_the_result_has_no_lo_as_containerds_then(node):
    node.conflist("p")
    node.plugin("p", ADD=node.answer(node.result()))
    cni = await node.loaded(use_internal_loopback=True)
    outcome = await cni.add(node.attachment())
    assert sorted(outcome.interfaces) == ["cni0", "eth0"]
    assert len(outcome.dns) == 1


@pytest.mark.parametrize("serially", [False, True])
async def test_every_network_has_its_interface(node, serially):
    node.conflist("a", file="1.conflist", name="first")
    node.conflist("b", file="2.conflist", name="second")
    node.plugin("a", ADD=node.answer(node.result()))
    node.plugin("b", ADD=node.answer(node.result("10.2.0.9/16", "10.2.0.1", interface="eth1")))
    cni = await node.loaded(max_conf_num=0, setup_serially=serially)
    outcome = await cni.add(node.attachment())
    assert sorted(node.calls()) == ["ADD a eth0", "ADD b eth1"]
    assert outcome.interfaces["eth1"].ip_configs[0].ip == "10.2.0.9"
    assert outcome.pod_ips("") == ("10.1.0.5", [])
    assert sorted(node.cached()) == ["first-abc-eth0", "second-abc-eth1"]


async def test_networks_are_set_up_at_the_same_time_and_a_failed_one_lets_the_others_finish(node):
    node.conflist("a", file="1.conflist", name="first")
    node.conflist("b", file="2.conflist", name="second")
    meet = "i=0; while [ ! -e {state}/{other} ] && [ $i -lt 200 ]; do sleep 0.02; i=$((i+1)); done\n"
    state = node.root / "state"
    node.plugin("a", ADD=f"touch {state}/a;" + meet.format(state=state, other="b") + node.failure("no more addresses"))
    node.plugin(
        "b", ADD=f"touch {state}/b;" + meet.format(state=state, other="a") + "sleep 0.3;" + node.answer(node.result())
    )
    cni = await node.loaded(max_conf_num=0)
    with pytest.raises(PluginError, match="no more addresses"):
        await cni.add(node.attachment())
    assert "result" in node.cached()["second-abc-eth1"]
    assert "result" not in node.cached()["first-abc-eth0"]


async def test_a_failure_says_which_plugin_and_what_it_said(node):
    node.conflist("bridge", "portmap")
    node.plugin("bridge", ADD=node.failure("no IP addresses available", 11, details="range 10.0.0.0/30"))
    node.plugin("portmap")
    cni = await node.loaded()
    with pytest.raises(PluginError) as caught:
        await cni.add(node.attachment())
    assert str(caught.value) == ('plugin type="bridge" failed (add): no IP addresses available; range 10.0.0.0/30')
    assert caught.value.cni_code == 11
    assert node.calls() == ["ADD bridge eth0"]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("echo broken >&2; exit 3", "broken (exit status 3)"),
        ("echo not json; exit 1", "not json (exit status 1)"),
        ("exit 4", "no error message (exit status 4)"),
        ("kill -KILL $$", "no error message (killed by signal 9)"),
    ],
)
async def test_a_plugin_that_dies_without_its_json_is_quoted(node, code, text):
    node.conflist("p")
    node.plugin("p", ADD=code)
    cni = await node.loaded()
    with pytest.raises(PluginError) as caught:
        await cni.add(node.attachment())
    assert str(caught.value).endswith(text)


@pytest.mark.parametrize("said", ["", "[]", "garbage", '{"cniVersion": "9.0.0"}', '{"ips": [{"address": "10.0.0.1"}]}'])
async def test_an_answer_that_is_no_result_is_a_failure(node, said):
    node.conflist("p")
    node.plugin("p", ADD=f"printf '%s' '{said}'")
    cni = await node.loaded()
    with pytest.raises(PluginError, match=r'plugin type="p" failed \(add\): the result'):
        await cni.add(node.attachment())


async def test_a_missing_program_is_found_before_any_plugin_runs(node):
    node.conflist("bridge", "portmap")
    node.plugin("bridge", ADD=node.answer(node.result()))
    cni = await node.loaded()
    with pytest.raises(MissingPlugin, match='"portmap"'):
        await cni.add(node.attachment())
    assert node.calls() == []
    assert node.cached() == {}


async def test_a_plugin_that_hangs_is_killed_and_the_error_says_so(node):
    node.conflist("p")
    node.plugin("p", ADD="sleep 60 & sleep 60")
    cni = await node.loaded(plugin_timeout=0.3)
    with pytest.raises(errors.DeadlineExceeded, match=r'plugin type="p" failed \(add\): .* did not end within 0.3 s'):
        await cni.add(node.attachment())


async def test_a_program_that_is_being_written_is_tried_again(node):
    node.conflist("p")
    node.plugin("p", ADD=node.answer(node.result()))
    cni = await node.loaded()
    outcome = []

    async def add():
        outcome.append(await cni.add(node.attachment()))

    with (node.root / "bin/p").open("r+"):
        async with anyio.create_task_group() as group:
            group.start_soon(add)
            with anyio.move_on_after(0.5, shield=True):
                await anyio.sleep(10)
            assert outcome == []
            group.cancel_scope.cancel()
    await cni.add(node.attachment())


async def test_a_program_that_cannot_be_started_is_named(node):
    node.conflist("p")
    node.plugin("p")
    (node.root / "bin/p").chmod(0o644)
    cni = await node.loaded()
    with pytest.raises(errors.FailedPrecondition, match=r"bin/p can't be started: Permission denied"):
        await cni.add(node.attachment())


async def test_without_a_configuration_the_error_is_the_reason_for_not_being_ready(node):
    cni = await node.loaded()
    with pytest.raises(errors.Unknown, match=r"cni plugin not initialized: no network configuration .* in .*/conf"):
        await cni.add(node.attachment())


async def test_the_record_is_as_libcni_writes_it(node):
    path = node.conflist("p")
    node.plugin("p", ADD=node.answer(node.result()))
    cni = await node.loaded()
    await cni.add(node.attachment(capabilities=raw({"dns": b'{"Servers":[]}'})))
    (record,) = node.cached().values()
    assert record == {
        "kind": "cniCacheV1",
        "containerId": "abc",
        "config": base64.b64encode(path.read_bytes()).decode(),
        "ifName": "eth0",
        "networkName": "net",
        "netns": node.netns,
        "cniArgs": [["K8S_POD_NAME", "web"], ["K8S_POD_INFRA_CONTAINER_ID", "abc"]],
        "capabilityArgs": {"dns": {"Servers": []}},
        "result": node.result(),
    }
    file = node.root / "cache/results/net-abc-eth0"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_what_is_being_added_is_on_record_before_the_first_plugin_runs(node):
    node.conflist("p")
    node.plugin("p", ADD=f"cp {node.root}/cache/results/net-abc-eth0 {node.root}/state/seen; exit 1")
    cni = await node.loaded()
    with pytest.raises(PluginError):
        await cni.add(node.attachment())
    assert "result" not in json.loads((node.root / "state/seen").read_text())
    (found,) = await cni.cached_attachments()
    assert (found.network, found.container_id, found.ifname, found.netns) == ("net", "abc", "eth0", node.netns)
    assert found.is_pod


async def test_an_answer_without_a_version_is_of_the_configurations(node):
    node.conflist("p", "q", version="0.4.0")
    node.plugin("p", ADD=node.answer({"ips": [{"version": "4", "address": "10.0.0.2/24"}]}))
    node.plugin("q", ADD="echo null")
    cni = await node.loaded()
    await cni.add(node.attachment())
    assert node.stdin("q", "ADD")["prevResult"]["cniVersion"] == "0.4.0"
    assert node.cached()["net-abc-eth0"]["result"] == {"cniVersion": "0.4.0"}
