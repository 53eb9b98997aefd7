"""The real `bridge` and `host-local` plugins, in a network namespace of the test's own: a thread that has left ours.

They need root and the plugins (Debian: containernetworking-plugins), and leave the host's network alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.cni import Cni, attachment, plugin_result, result
from cri_shim.cni.plugin import Invocation, PluginError, Runner
from cri_shim.linux import netns, own_thread, syscalls

BIN = next((one for one in ("/opt/cni/bin", "/usr/lib/cni") if os.path.exists(f"{one}/bridge")), None)
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="making network namespaces needs root"),
    pytest.mark.skipif(BIN is None, reason="the CNI plugins bridge and host-local are not installed"),
]


def apart(coroutine_function, *args: object):
    """Run a coroutine on a loop whose thread, and so whose plugins, have a network of their own."""

    def run():
        syscalls.unshare(syscalls.CLONE_NEWNET)
        return asyncio.run(coroutine_function(*args))

    return own_thread.call(run)


@pytest.fixture
def cni(tmp_path):
    ipam = {"type": "host-local", "dataDir": f"{tmp_path}/ipam", "ranges": [[{"subnet": "10.99.0.0/24"}]]}
    bridge = {"type": "bridge", "bridge": "cni-test", "isGateway": True, "ipam": ipam}
    (tmp_path / "conf").mkdir()
    listed = {"cniVersion": "1.0.0", "name": "test", "plugins": [bridge]}
    (tmp_path / "conf/1.conflist").write_text(json.dumps(listed))
    return Cni(bin_dirs=[BIN or ""], conf_dir=f"{tmp_path}/conf", cache_dir=f"{tmp_path}/cache")


def connect_from(path, address):
    """The errno of a connection from inside a namespace: refused means that somebody was there to refuse."""

    def run():
        netns.enter(path)
        with socket.socket() as one:
            one.settimeout(5)
            return one.connect_ex((address, 1))

    return own_thread.call(run)


def pod(path, number=1):
    metadata = cri.PodSandboxMetadata(name="web", namespace="default", uid="u")
    return attachment(cri.PodSandboxConfig(metadata=metadata), f"{number:064x}", path)


def test_a_pod_gets_an_address_reaches_its_gateway_and_leaves_nothing(cni, tmp_path):
    async def life():
        await cni.load()
        path = netns.new_path(f"{tmp_path}/netns")
        await netns.create(path)
        try:
            outcome = await cni.add(pod(path))
            await cni.check(pod(path))
            reached = connect_from(path, "10.99.0.1")
            await cni.delete(pod(path), result_known=True)
        finally:
            await netns.remove(path)
        await cni.delete(pod(path), result_known=True)
        return outcome.pod_ips(""), sorted(outcome.interfaces), reached

    addresses, interfaces, reached = apart(life)
    assert addresses == ("10.99.0.2", [])
    assert {"cni-test", "eth0", "lo"} < set(interfaces)
    assert reached == 111  # ECONNREFUSED
    assert not list((tmp_path / "ipam/test").glob("10.*"))
    assert not list((tmp_path / "cache/results").iterdir())


def test_a_pod_whose_namespace_is_gone_still_gives_its_address_back(cni, tmp_path):
    async def life():
        await cni.load()
        path = netns.new_path(f"{tmp_path}/netns")
        await netns.create(path)
        await cni.add(pod(path))
        await netns.remove(path)
        await cni.delete(pod(path), result_known=True)

    apart(life)
    assert not list((tmp_path / "ipam/test").glob("10.*"))


def test_a_failed_add_can_be_deleted(cni, tmp_path):
    async def life():
        await cni.load()
        path = netns.new_path(f"{tmp_path}/netns")
        await netns.create(path)
        try:
            await cni.add(pod(path))
            with pytest.raises(PluginError, match=r"already|duplicate"):
                await cni.add(pod(path))
            await cni.delete(pod(path), result_known=False)
        finally:
            await netns.remove(path)

    apart(life)
    assert not list((tmp_path / "ipam/test").glob("10.*"))


def test_our_lo_is_recorded_as_the_loopback_plugins_would_be(tmp_path):
    async def both():
        path = netns.new_path(f"{tmp_path}/netns")
        await netns.create(path)
        try:
            ours = result.loopback(path, await netns.loopback_up(path))
            network = b'{"cniVersion":"0.3.1","name":"cni-loopback","type":"loopback"}'
            theirs = await Runner((BIN or "",)).run("loopback", "ADD", Invocation("x", path, "lo"), network)
        finally:
            await netns.remove(path)
        return result.combine([ours]), result.combine([plugin_result.parse(theirs)])

    ours, theirs = apart(both)
    assert ours == theirs
