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


@pytest.mark.shim_only  # containerd has no mount_options yet
@pytest.mark.parametrize("handler", ["", "crun"])
async def test_a_mount_may_forbid_programs_devices_and_changes_of_user(
    kubelet: Kubelet, running: RunningNode, handler: str
) -> None:
    """Each container's own: another one of the pod executes the same file."""
    running.node.run(["sh", "-c", "mkdir -p /tmp/forbid && printf '#!/bin/sh\\necho ran' > /tmp/forbid/x"])
    running.node.run(["chmod", "755", "/tmp/forbid/x"])
    pod = await kubelet.run_pod(handler=handler)
    plain = cri.Mount(container_path="/m", host_path="/tmp/forbid")
    strict = cri.Mount(container_path="/m", host_path="/tmp/forbid", mount_options=["noexec", "nodev", "nosuid"])
    free = await kubelet.run(pod, kubelet.container_config(name="free", mounts=[plain]))
    bound = await kubelet.run(pod, kubelet.container_config(name="bound", mounts=[strict]))
    assert await shown(kubelet, free, "/m/x") == ["ran"]
    assert "Permission denied" in (await kubelet.exec(bound, "sh", "-c", "/m/x")).stderr.decode()
    (options,) = await shown(kubelet, bound, "grep ' /m ' /proc/self/mountinfo | cut -d' ' -f6")
    assert {"rw", "noexec", "nodev", "nosuid"} <= set(options.split(","))
    features = (await kubelet.runtime.status(cri.StatusRequest())).features
    assert features
    assert features.mount_options
    running.node.run(["rm", "-r", "/tmp/forbid"])


@pytest.mark.parametrize("handler", ["", "crun"])
async def test_read_only_goes_as_deep_as_is_asked(kubelet: Kubelet, running: RunningNode, handler: str) -> None:
    running.node.run(["sh", "-c", "mkdir -p /tmp/deep/below && mount -t tmpfs below /tmp/deep/below"])
    try:
        pod = await kubelet.run_pod(handler=handler)
        mounts = [
            cri.Mount(container_path="/shallow", host_path="/tmp/deep", readonly=True),
            cri.Mount(container_path="/deep", host_path="/tmp/deep", readonly=True, recursive_read_only=True),
        ]
        container = await kubelet.run(pod, kubelet.container_config(mounts=mounts))
        assert await shown(kubelet, container, "touch /shallow/below/made && ls /deep/below") == ["made"]
        for place in ("/shallow/x", "/deep/x", "/deep/below/x"):
            refused = await kubelet.exec(container, "touch", place)
            assert "Read-only file system" in refused.stderr.decode(), place
        await kubelet.stop(container)
    finally:
        running.node.run(["sh", "-c", "umount -l /tmp/deep/below && rm -r /tmp/deep"])


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
        linux = cri.LinuxContainerConfig(
            security_context=cri.LinuxContainerSecurityContext(
                capabilities=cri.Capability(add_capabilities=["SYS_ADMIN"])
            )
        )
        mount = cri.Mount(
            container_path="/s", host_path="/tmp/spread", propagation=Propagation.PROPAGATION_BIDIRECTIONAL
        )
        both = await kubelet.run(pod, kubelet.container_config(name="both", mounts=[mount], linux=linux))
        await shown(kubelet, both, "mkdir /s/y && mount -t tmpfs inner /s/y && touch /s/y/from-inside")
        assert running.node.path("/tmp/spread/y/from-inside").exists()
        assert await shown(kubelet, container, "ls /s/y") == ["from-inside"]
        await shown(kubelet, both, "umount /s/y")
    finally:
        running.node.run(["sh", "-c", "umount -l /tmp/spread && rmdir /tmp/spread"])
