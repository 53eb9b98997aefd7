"""Devices as a container finds them: the node's, and those of the Container Device Interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError

from cri_shim.api.runtime import v1 as cri

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet

pytestmark = pytest.mark.anyio

SPEC = """
cdiVersion: "0.7.0"
kind: vendor.example/{kind}
containerEdits: {{env: [OF_SPEC=1]}}
devices:
- name: a
  containerEdits:
    env: [VALUE={value}]
    deviceNodes: [{{path: /dev/vendor, hostPath: /dev/zero, permissions: r, uid: 3, fileMode: 0644}}]
    mounts: [{{hostPath: /etc/hostname, containerPath: /vendor/name, options: [ro, bind]}}]
    additionalGids: [4321]
    hooks: [{{hookName: createRuntime, path: /bin/sh, args: [sh, -c, "cat > /tmp/cdi-hook-{kind}"]}}]
"""


async def shown(kubelet: Kubelet, container: str, script: str) -> list[str]:
    answer = await kubelet.exec(container, "sh", "-c", script)
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout.decode().split()


async def test_a_cdi_device_is_there_with_all_that_it_brings(kubelet: Kubelet, running: RunningNode) -> None:
    pod = await kubelet.run_pod()
    for number, kind in enumerate(("early", "late")):  # the second appears while the daemon runs
        running.node.write(f"/etc/cdi/{kind}.yaml", SPEC.format(kind=kind, value=number))
        name = f"vendor.example/{kind}=a"
        by_field = kubelet.container_config(name=kind, CDI_devices=[cri.CdiDevice(name=name)])
        by_annotation = kubelet.container_config(name=f"{kind}-too", annotations={"cdi.k8s.io/x": name})
        for config in (by_field, by_annotation):
            container = await kubelet.run(pod, config)
            assert await shown(kubelet, container, "echo $OF_SPEC $VALUE") == ["1", str(number)]
            assert await shown(kubelet, container, "stat -c %t:%T:%a:%u /dev/vendor") == ["1:5:644:3"]
            assert await shown(kubelet, container, "head -c 4 /dev/vendor | wc -c; cat /vendor/name") != []
            assert "4321" in await shown(kubelet, container, "id -G")
        assert running.node.path(f"/tmp/cdi-hook-{kind}").exists()
    running.node.run(["sh", "-c", "rm -r /etc/cdi/* /tmp/cdi-hook-*"])
    with pytest.raises(GRPCError) as refused:
        config = kubelet.container_config(
            CDI_devices=[cri.CdiDevice(name=f"vendor.example/{n}=a") for n in ("late", "x")]
        )
        await kubelet.create(pod, config)
    assert "unresolvable CDI devices vendor.example/late=a, vendor.example/x=a" in str(refused.value.message)


async def test_devices_of_the_node_are_there_as_far_as_they_are_permitted(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    devices = [
        cri.Device(container_path="/dev/in", host_path="/dev/zero", permissions="r"),
        cri.Device(container_path="/dev/more", host_path="/dev/net", permissions="rwm"),
    ]
    container = await kubelet.run(pod, kubelet.container_config(devices=devices))
    assert await shown(kubelet, container, "head -c 4 /dev/in | wc -c") == ["4"]
    assert "tun" in await shown(kubelet, container, "ls /dev/more")
    assert await shown(kubelet, container, "stat -c %F /dev/more/tun") == ["character", "special", "file"]
    missing = cri.Device(container_path="/dev/x", host_path="/dev/no-such", permissions="r")
    with pytest.raises(GRPCError):
        await kubelet.create(pod, kubelet.container_config(devices=[missing], name="missing"))
