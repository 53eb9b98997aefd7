"""Networks that fail or hang: the pod's start says so, nothing is left, and nobody else waits."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from grpclib import GRPCError

from cri_shim.api.runtime import v1 as cri
from integration.kubelet import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet

pytestmark = [pytest.mark.anyio, pytest.mark.shim_only]

CONFIGURATION = "/etc/cni/net.d/05-test.conflist"
PLUGIN = "/opt/cni/bin/test-plugin"


@contextmanager
def plugin(running: RunningNode, script: str) -> Iterator[None]:
    """Let pods be attached by the bridge and then by a plugin that is `script`, instead of as usual."""
    usual = json.loads(running.node.path("/etc/cni/net.d/10-bridge.conflist").read_text())
    chain = {"cniVersion": "1.0.0", "name": "test", "plugins": [usual["plugins"][0], {"type": "test-plugin"}]}
    running.node.write(PLUGIN, f"#!/bin/sh\n{script}\n", 0o755)
    running.node.write(CONFIGURATION, json.dumps(chain))
    try:
        yield
    finally:
        running.node.path(CONFIGURATION).unlink()


async def taken_over(kubelet: Kubelet, name: str) -> None:
    """Wait until the network in force is `name`."""

    async def in_force() -> bool | None:
        answer = await kubelet.runtime.status(cri.StatusRequest(verbose=True))
        return f'"{name}"' in answer.info["cniconfig"] or None

    await eventually(in_force)


async def test_a_plugin_that_fails_is_named_and_its_pod_leaves_nothing(kubelet: Kubelet, running: RunningNode) -> None:
    failure = json.dumps({"code": 11, "msg": "no more addresses today"})
    with plugin(running, f"[ $CNI_COMMAND = ADD ] && echo '{failure}' && exit 1; exit 0"):
        await taken_over(kubelet, "test")
        with pytest.raises(GRPCError, match="no more addresses today"):
            await kubelet.run_pod()
        assert await kubelet.list_pods() == []
    await taken_over(kubelet, "bridge")


async def test_a_plugin_that_hangs_holds_up_no_list_and_no_other_pod_and_a_hang_up_ends_it(
    kubelet: Kubelet, running: RunningNode
) -> None:
    with plugin(running, "[ $CNI_COMMAND = ADD ] && sleep 60; exit 0"):
        await taken_over(kubelet, "test")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kubelet.run_pod)
            await anyio.sleep(0.5)
            with anyio.fail_after(5):
                assert await kubelet.list_pods() == []
                await kubelet.list_containers()
                await kubelet.run_pod(kubelet.pod_config(host_network=True))
            tasks.cancel_scope.cancel()

        async def undone() -> bool | None:
            return not list(running.node.path("/run/netns").iterdir()) or None

        await eventually(undone, 20)  # a plugin that nobody waits for has ten seconds to come to its end
    await taken_over(kubelet, "bridge")


async def test_a_pod_whose_network_can_not_be_taken_down_is_kept_until_it_can(
    kubelet: Kubelet, running: RunningNode
) -> None:
    failure = json.dumps({"code": 11, "msg": "the switch is on fire"})
    pass_on = "python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin).get(\"prevResult\", {})))'"
    script = f"[ $CNI_COMMAND = DEL ] && [ -e /run/on-fire ] && echo '{failure}' && exit 1; {pass_on}"
    with plugin(running, script):
        await taken_over(kubelet, "test")
        pod = await kubelet.run_pod()
        running.node.write("/run/on-fire", "")
        with pytest.raises(GRPCError, match="the switch is on fire"):
            await kubelet.stop_pod(pod)
        assert [item.id for item in await kubelet.list_pods()] == [pod.id]
        running.node.path("/run/on-fire").unlink()
        await kubelet.stop_pod(pod)
    await taken_over(kubelet, "bridge")
