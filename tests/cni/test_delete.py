"""Detaching pods: with what they were attached with, as often as needed, and never half."""

from __future__ import annotations

import json

import anyio
import pytest

from cri_shim import errors
from cri_shim.cni import plugin
from cri_shim.cni.plugin import MissingPlugin, PluginError

pytestmark = pytest.mark.anyio


@pytest.fixture
async def attached(node):
    """A pod on a network of two plugins; the calls so far forgotten."""
    node.conflist("bridge", "portmap", version="0.4.0")
    node.plugin("bridge", ADD=node.answer(node.result(version="0.4.0")))
    node.plugin("portmap", ADD=node.answer(node.result(version="0.4.0")))
    cni = await node.loaded()
    await cni.add(node.attachment())
    node.forget_calls()
    return cni


async def test_plugins_run_backwards_each_with_the_final_result(node, attached):
    await attached.delete(node.attachment(), result_known=True)
    assert node.calls() == ["DEL portmap eth0", "DEL bridge eth0"]
    for name in ("portmap", "bridge"):
        assert node.stdin(name, "DEL")["prevResult"] == node.result(version="0.4.0")
        assert node.env(name, "DEL")["CNI_NETNS"] == node.netns
    assert node.cached() == {}


async def test_before_0_4_0_there_is_no_previous_result(node):
    node.conflist("p", version="0.3.1")
    node.plugin("p", ADD=node.answer(node.result(version="0.3.1")))
    cni = await node.loaded()
    await cni.add(node.attachment())
    await cni.delete(node.attachment(), result_known=True)
    assert "prevResult" not in node.stdin("p", "DEL")


async def test_a_result_in_another_version_is_converted_to_the_configurations(node):
    node.conflist("p", version="0.4.0")
    node.plugin("p", ADD=node.answer(node.result(version="1.0.0")))
    cni = await node.loaded()
    await cni.add(node.attachment())
    await cni.delete(node.attachment(), result_known=True)
    previous = node.stdin("p", "DEL")["prevResult"]
    assert (previous["cniVersion"], previous["ips"][0]["version"]) == ("0.4.0", "4")
    assert node.cached() == {}


@pytest.mark.parametrize("change", ["other", "broken", "none", "no directory"])
@pytest.mark.usefixtures("attached")
async def test_the_configuration_of_the_day_of_the_add_is_used_whatever_the_directory_holds_now(node, change):
    (node.root / "conf/10-net.conflist").unlink()
    if change == "other":
        node.conflist("calico", name="new")
    elif change == "broken":
        node.conf("10-net.conflist", "{")
    elif change == "no directory":
        (node.root / "conf").rmdir()
    fresh = await node.loaded()
    await fresh.delete(node.attachment(), result_known=True)
    assert node.calls() == ["DEL portmap eth0", "DEL bridge eth0"]


async def test_arguments_and_capabilities_are_those_of_the_add(node, attached):
    await attached.delete(node.attachment().__class__("abc", node.netns), result_known=True)
    assert node.env("bridge", "DEL")["CNI_ARGS"] == "K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=abc"


async def test_it_may_be_repeated(node, attached):
    await attached.delete(node.attachment(), result_known=True)
    await attached.delete(node.attachment(), result_known=True)
    assert len(node.calls()) == 4


async def test_a_namespace_that_is_gone_is_told_as_none_and_its_absence_is_fine(node, attached):
    node.plugin("bridge", DEL=node.failure("failed to open netns: no such file or directory"))
    node.plugin("portmap")
    attachment = node.attachment()
    node.netns = "gone"
    await attached.delete(attachment, result_known=True)
    assert node.env("bridge", "DEL")["CNI_NETNS"] == ""
    assert node.cached() == {}


async def test_what_a_plugin_does_not_find_is_deleted_and_the_rest_of_the_chain_still_runs(node, attached):
    node.plugin("portmap", DEL=node.failure("chain CNI-DN-x not found"))
    await attached.delete(node.attachment(), result_known=True)
    assert node.calls() == ["DEL portmap eth0", "DEL bridge eth0"]
    assert node.cached() == {}


async def test_a_missing_file_in_a_living_namespace_is_a_failure(node, attached):
    node.plugin("bridge", DEL=node.failure("open /run/calico/kubeconfig: no such file or directory"))
    with pytest.raises(PluginError, match="calico"):
        await attached.delete(node.attachment(), result_known=True)
    assert len(node.cached()) == 1


async def test_an_unreachable_plugin_is_an_error_and_the_next_call_tries_again(node, attached):
    node.plugin("bridge", DEL=node.failure("dial unix /run/multus.sock: connection refused", 11))
    for _ in range(2):
        with pytest.raises(PluginError, match="connection refused"):
            await attached.delete(node.attachment(), result_known=True)
    node.plugin("bridge", DEL="exit 0")
    await attached.delete(node.attachment(), result_known=True)
    assert node.cached() == {}


async def test_a_missing_program_is_an_error_for_a_pod_that_was_attached(node, attached):
    (node.root / "bin/portmap").unlink()
    with pytest.raises(MissingPlugin):
        await attached.delete(node.attachment(), result_known=True)
    assert len(node.cached()) == 1


async def test_a_shell_that_misses_a_command_does_not_count_as_deleted(node, attached):
    node.plugin("bridge", DEL="ipset-not-here")
    with pytest.raises(PluginError, match="not found"):
        await attached.delete(node.attachment(), result_known=True)


async def test_an_add_cut_short_is_deleted_by_its_record(node):
    node.conflist("bridge", "portmap")
    node.plugin("bridge", ADD=node.answer(node.result()))
    node.plugin("portmap", ADD=node.failure("no iptables"))
    cni = await node.loaded()
    with pytest.raises(PluginError):
        await cni.add(node.attachment())
    node.forget_calls()
    (node.root / "bin/portmap").unlink()
    node.conf("10-net.conflist", "{")
    restarted = await node.loaded()
    await restarted.delete(node.attachment(), result_known=False)
    assert node.calls() == ["DEL bridge eth0"]
    assert node.cached() == {}


@pytest.mark.parametrize("moment", [0.0, 0.005, 0.01, 0.02, 0.04, 0.06])
async def test_an_add_cancelled_at_any_moment_is_deleted_by_its_record(node, moment):
    state = node.root / "state"
    node.conflist("first", "second")
    for name in ("first", "second"):
        node.plugin(name, ADD=f"touch {state}/{name}.made; sleep 0.02;" + node.answer(node.result()))
        node.plugin(name, DEL=f"rm -f {state}/{name}.made")
    cni = await node.loaded()
    with anyio.move_on_after(moment):
        await cni.add(node.attachment())
    await cni.delete(node.attachment(), result_known=False)
    assert not list(state.glob("*.made"))
    assert node.cached() == {}


@pytest.mark.parametrize("command", ["ADD", "DEL"])
async def test_a_plugin_that_nobody_waits_for_any_more_ends_what_it_began(node, command):
    half, state = node.root / "state/half", node.root / "state"
    work = f"touch {half}; sleep 0.2; rm {half};"
    node.conflist("bridge")
    node.plugin("bridge", ADD=work + node.answer(node.result()), DEL=f"[ ! -e {half} ] || exit 2; {work}")
    cni = await node.loaded()
    if command == "DEL":
        await cni.add(node.attachment())
    with anyio.move_on_after(0.1) as scope:
        await (cni.add(node.attachment()) if command == "ADD" else cni.delete(node.attachment(), result_known=True))
    assert scope.cancelled_caught
    assert (state / f"bridge.{command}.stdin").exists()
    await cni.delete(node.attachment(), result_known=True)
    assert node.cached() == {}


async def test_a_plugin_that_hangs_is_killed_some_time_after_its_caller_went_away(node, monkeypatch):
    monkeypatch.setattr(plugin, "_GRACE", 0.1)
    node.conflist("bridge")
    node.plugin("bridge", ADD="sleep 60 & sleep 60")
    cni = await node.loaded()
    with anyio.fail_after(5), anyio.move_on_after(0.1) as scope:
        await cni.add(node.attachment())
    assert scope.cancelled_caught


async def test_the_failure_to_delete_what_was_begun_is_told_though_no_result_is_known(node):
    node.conflist("p")
    node.plugin("p", ADD=node.failure("half done"), DEL=node.failure("unreachable"))
    cni = await node.loaded()
    with pytest.raises(PluginError):
        await cni.add(node.attachment())
    with pytest.raises(PluginError, match="unreachable"):
        await cni.delete(node.attachment(), result_known=False)


async def test_a_pod_without_record_or_result_is_deleted_as_well_as_may_be(node):
    node.conflist("p")
    node.plugin("p", DEL=node.failure("unreachable"))
    cni = await node.loaded()
    await cni.delete(node.attachment(), result_known=False)
    assert node.calls() == ["DEL p eth0"]


async def test_a_pod_whose_record_is_lost_is_deleted_with_the_present_configuration(node):
    node.conflist("p")
    node.plugin("p", DEL=node.failure("unreachable"))
    cni = await node.loaded()
    with pytest.raises(PluginError, match="unreachable"):
        await cni.delete(node.attachment(), result_known=True)


async def test_a_pod_detached_before_needs_neither_plugins_nor_configuration_to_be_detached_again(node, attached):
    attachment = node.attachment()
    await attached.delete(attachment, result_known=True)
    node.netns = "gone"
    node.plugin("bridge", DEL=node.failure("unreachable"))
    await attached.delete(attachment, result_known=True)
    (node.root / "conf/10-net.conflist").unlink()
    await (await node.loaded()).delete(attachment, result_known=True)


async def test_without_record_and_configuration_only_a_known_result_is_an_error(node):
    cni = await node.loaded()
    await cni.delete(node.attachment(), result_known=False)
    with pytest.raises(errors.Unknown, match=r"neither the record .* nor a configuration .* no network configuration"):
        await cni.delete(node.attachment(), result_known=True)


async def test_all_networks_are_tried_and_the_first_failure_told(node):
    for number, name in enumerate(("first", "second")):
        node.conflist(name, file=f"{number}.conflist", name=name)
        node.plugin(name, ADD=node.answer(node.result(interface=f"eth{number}")), DEL=node.failure(f"{name} fails"))
    cni = await node.loaded(max_conf_num=0)
    await cni.add(node.attachment())
    with pytest.raises(PluginError, match="first fails"):
        await cni.delete(node.attachment(), result_known=True)
    assert node.calls()[2:] == ["DEL first eth0", "DEL second eth1"]


async def test_a_pod_that_containerd_attached_loses_its_loopback_record_without_a_plugin(node, attached):
    (record,) = node.cached().values()
    record |= {"networkName": "cni-loopback", "ifName": "lo", "config": "e30="}
    (node.root / "cache/results/cni-loopback-abc-lo").write_text(json.dumps(record))
    await attached.delete(node.attachment(), result_known=True)
    assert node.calls() == ["DEL portmap eth0", "DEL bridge eth0"]
    assert node.cached() == {}


async def test_a_record_that_cannot_be_read_is_named(node, attached):
    results = node.root / "cache/results"
    (results / "net-abc-eth0").unlink()
    (results / "net-abc-eth0").symlink_to("net-abc-eth0")
    with pytest.raises(errors.Unknown, match=r"results/net-abc-eth0: Too many levels of symbolic links"):
        await attached.delete(node.attachment(), result_known=True)


async def test_a_record_that_was_being_written_when_we_were_killed_goes_too(node, attached):
    results = node.root / "cache/results"
    (results / ".net-abc-eth0.30e6ff9d0814").write_text("{")
    await attached.delete(node.attachment(), result_known=True)
    assert list(results.iterdir()) == []


async def test_other_pods_and_files_that_are_no_records_are_left_alone(node, attached):
    await attached.add(node.attachment("abcd"))
    (node.root / "cache/results/x-abc-eth0").write_text("{}")
    (node.root / "cache/results/y-abc-eth0").write_text("not json")
    await attached.delete(node.attachment(), result_known=True)
    assert sorted(path.name for path in (node.root / "cache/results").iterdir()) == [
        "net-abcd-eth0",
        "x-abc-eth0",
        "y-abc-eth0",
    ]


async def test_a_check_goes_forth_with_the_result_of_the_add(node, attached):
    await attached.check(node.attachment())
    assert node.calls() == ["CHECK bridge eth0", "CHECK portmap eth0"]
    assert node.stdin("bridge", "CHECK")["prevResult"] == node.result(version="0.4.0")
    node.plugin("bridge", CHECK=node.failure("eth0 is missing"))
    with pytest.raises(PluginError, match=r"failed \(check\): eth0 is missing"):
        await attached.check(node.attachment())


@pytest.mark.parametrize("more", [{"version": "0.3.1"}, {"disableCheck": True}, {"disableCheck": "true"}])
async def test_what_is_not_to_be_checked_is_not(node, more):
    node.conflist("p", **more)
    node.plugin("p", ADD=node.answer(node.result(version=more.get("version", "1.0.0"))))
    cni = await node.loaded()
    await cni.add(node.attachment())
    await cni.check(node.attachment())
    assert node.calls() == ["ADD p eth0"]
