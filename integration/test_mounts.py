"""What of the node a container sees, and where; and volumes that its image declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError

from cri_shim.api.runtime import v1 as cri

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet

pytestmark = pytest.mark.anyio

PARTS = "docker.io/test/parts:1"
Propagation = cri.MountPropagation


async def shown(kubelet: Kubelet, container: str, script: str) -> list[str]:
    answer = await kubelet.exec(container, "sh", "-c", script)
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout.decode().split()


async def test_a_volume_of_the_image_begins_as_a_copy_of_what_the_image_has_there(kubelet: Kubelet) -> None:
    await kubelet.pull(PARTS)
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod, kubelet.container_config(image=PARTS))
    stat = "stat -c %n:%F:%a:%u:%g . file set-id hard soft below below/dangling | tr ' ' '-'"
    assert await shown(kubelet, container, f"cd /data && {stat}") == [
        ".:directory:1751:7:8",
        "file:regular-file:640:0:0",
        "set-id:regular-file:6755:33:44",
        "hard:regular-file:640:0:0",
        "soft:symbolic-link:777:5:6",
        "below:directory:700:9:9",
        "below/dangling:symbolic-link:777:0:0",
    ]
    assert await shown(kubelet, container, "cd /data && readlink soft && readlink below/dangling") == [
        "file",
        "/no/such",
    ]
    assert len(set(await shown(kubelet, container, "cd /data && stat -c %i file hard"))) == 1
    assert await shown(kubelet, container, "echo new > /data/file && cat /data/file") == ["new"]
    other = await kubelet.run(pod, kubelet.container_config(image=PARTS, name="other"))
    assert await shown(kubelet, other, "cat /data/file") == ["from", "the", "image"]


async def test_mounts_are_where_how_and_in_the_order_that_they_are_asked_for(
    kubelet: Kubelet, running: RunningNode
) -> None:
    running.node.run(["sh", "-c", "mkdir -p /tmp/mounts/a/b /tmp/mounts/c && echo a > /tmp/mounts/a/f"])
    running.node.run(["sh", "-c", "echo c > /tmp/mounts/c/f && ln -sfn a /tmp/mounts/link"])
    pod = await kubelet.run_pod()
    mounts = [
        cri.Mount(container_path="/x/b", host_path="/tmp/mounts/c"),
        cri.Mount(container_path="/x", host_path="/tmp/mounts/link", readonly=True),
        cri.Mount(container_path="/made", host_path="/tmp/mounts/made/here"),
        cri.Mount(container_path="/file", host_path="/tmp/mounts/a/f", readonly=True),
    ]
    container = await kubelet.run(pod, kubelet.container_config(mounts=mounts))
    assert await shown(kubelet, container, "cat /x/f /x/b/f /file") == ["a", "c", "a"]
    assert await shown(kubelet, container, "echo 1 > /made/1; echo 2 > /x/b/2; ls /made") == ["1"]
    assert running.node.path("/tmp/mounts/made/here/1").exists()
    for place in ("/x/new", "/file"):
        assert "ead-only" in (await kubelet.exec(container, "sh", "-c", f"echo > {place}")).stderr.decode()
    size = await shown(kubelet, container, "df -k /dev/shm | tail -1")
    assert size[1] == "65536"
    proc = "grep -E ' /(proc|sys) ' /proc/self/mountinfo | cut -d' ' -f5,6"
    options = dict(zip(*[iter(await shown(kubelet, container, proc))] * 2, strict=True))
    assert options["/sys"].split(",")[0] == "ro"
    assert {"nosuid", "nodev", "noexec"} <= set(options["/proc"].split(","))
    running.node.run(["rm", "-rf", "/tmp/mounts"])


async def test_a_privileged_container_may_write_the_kernels_file_systems(kubelet: Kubelet) -> None:
    linux = cri.LinuxPodSandboxConfig(security_context=cri.LinuxSandboxSecurityContext(privileged=True))
    pod = await kubelet.run_pod(kubelet.pod_config(linux=linux))
    privileged = cri.LinuxContainerConfig(security_context=cri.LinuxContainerSecurityContext(privileged=True))
    container = await kubelet.run(pod, kubelet.container_config(linux=privileged))
    options = await shown(kubelet, container, "grep -E ' /sys(/fs/cgroup)? ' /proc/self/mountinfo | cut -d' ' -f6")
    assert {option.split(",")[0] for option in options} == {"rw"}


async def test_mounts_spread_as_asked_and_a_source_that_is_not_shared_is_named(
    kubelet: Kubelet, running: RunningNode
) -> None:
    running.node.run(["sh", "-c", "mkdir -p /tmp/spread && mount -t tmpfs spread /tmp/spread && mkdir /tmp/spread/x"])
    pod = await kubelet.run_pod()
    try:
        running.node.run(["mount", "--make-private", "/tmp/spread"])
        for propagation, words in (
            (Propagation.PROPAGATION_BIDIRECTIONAL, "not a shared mount"),
            (Propagation.PROPAGATION_HOST_TO_CONTAINER, "not a shared or slave mount"),
        ):
            mount = cri.Mount(container_path="/s", host_path="/tmp/spread/x", propagation=propagation)
            with pytest.raises(GRPCError) as refused:
                await kubelet.create(pod, kubelet.container_config(mounts=[mount]))
            assert 'mounted on "/tmp/spread"' in str(refused.value.message).replace("'", '"')
            assert words in str(refused.value.message)
        running.node.run(["mount", "--make-shared", "/tmp/spread"])
        mount = cri.Mount(
            container_path="/s", host_path="/tmp/spread", propagation=Propagation.PROPAGATION_HOST_TO_CONTAINER
        )
        container = await kubelet.run(pod, kubelet.container_config(mounts=[mount]))
        running.node.run(["mount", "-t", "tmpfs", "later", "/tmp/spread/x"])
        running.node.run(["touch", "/tmp/spread/x/seen"])
        assert await shown(kubelet, container, "ls /s/x") == ["seen"]
    finally:
        running.node.run(["sh", "-c", "umount -l /tmp/spread && rmdir /tmp/spread"])
