"""CheckpointContainer: what it writes, and what it refuses."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError, Status

from cri_shim.api.runtime import v1 as cri
from integration.kubelet import BUSYBOX, eventually

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet

pytestmark = pytest.mark.anyio

# CRIU ends the system call that a process is in: a sleep that is not repeated would end the container.
COMMAND = ("sh", "-c", "echo hello; echo data > /written; while :; do sleep 1; done")


async def checkpoint(kubelet: Kubelet, container: str, location: str = "/tmp/archive.tar", timeout: int = 60) -> None:
    request = cri.CheckpointContainerRequest(container_id=container, location=location, timeout=timeout)
    await kubelet.runtime.checkpoint_container(request)


async def test_an_archive_has_all_that_the_container_was(kubelet: Kubelet, running: RunningNode) -> None:
    if running.node.run(["criu", "check"], check=False).returncode:
        pytest.skip("this machine's kernel can't be used by CRIU")
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod, kubelet.container_config(COMMAND))

    async def said() -> bool | None:
        return bool(await kubelet.log(container)) or None

    await eventually(said)
    await checkpoint(kubelet, container)
    assert (await kubelet.status(container)).state == cri.ContainerState.CONTAINER_RUNNING
    assert (await kubelet.exec(container, "cat", "/written")).stdout == b"data\n"
    path = running.node.path("/tmp/archive.tar")
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as archive:
        names = set(archive.getnames())
        content = {
            name: archive.extractfile(name).read()  # type: ignore[union-attr]
            for name in ("config.dump", "spec.dump", "status.dump", "status", "container.log", "rootfs-diff.tar")
        }
    path.unlink()
    assert names >= {"checkpoint", "checkpoint/inventory.img", "checkpoint/pstree.img", "dump.log", "stats-dump"}
    config, status = json.loads(content["config.dump"]), json.loads(content["status.dump"])
    assert config["id"] == status["id"] == container
    assert config["rootfsImageName"] == BUSYBOX
    assert "@sha256:" in config["rootfsImageRef"]
    assert config["runtime"] == "io.containerd.runc.v2"
    assert config["createdTime"] < config["checkpointedTime"]
    assert status["metadata"] == {"name": "main"}
    assert status["state"] == cri.ContainerState.CONTAINER_RUNNING
    assert json.loads(content["spec.dump"])["process"]["args"] == list(COMMAND)
    assert json.loads(content["status"])["Version"] == "v1"
    assert content["container.log"].endswith(b"stdout F hello\n")
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content["rootfs-diff.tar"]))) as layer:
        assert layer.extractfile("written").read() == b"data\n"  # type: ignore[union-attr]


@pytest.mark.shim_only  # containerd's plugin has no CheckpointPod
async def test_a_pod_is_checkpointed_as_a_whole_and_goes_on(kubelet: Kubelet, running: RunningNode) -> None:
    if running.node.run(["criu", "check"], check=False).returncode:
        pytest.skip("this machine's kernel can't be used by CRIU")
    pod = await kubelet.run_pod()
    containers = {name: await kubelet.run(pod, kubelet.container_config(COMMAND, name=name)) for name in ("one", "two")}
    await kubelet.create(pod, kubelet.container_config(COMMAND, name="waiting"))
    request = cri.CheckpointPodRequest(pod_sandbox_id=pod.id, output_path="/tmp/pod")
    await kubelet.runtime.checkpoint_pod(request)
    for container in containers.values():
        assert (await kubelet.status(container)).state == cri.ContainerState.CONTAINER_RUNNING
    directory = running.node.path("/tmp/pod")
    assert {path.name for path in directory.iterdir()} == {"one.tar", "two.tar", "pod.json"}
    description = json.loads((directory / "pod.json").read_bytes())
    assert {one["archive"]: one["id"] for one in description["containers"]} == {
        f"{name}.tar": container for name, container in containers.items()
    }
    for name, container in containers.items():
        with tarfile.open(directory / f"{name}.tar") as archive:
            assert json.load(archive.extractfile("config.dump"))["id"] == container  # type: ignore[arg-type]
            assert "checkpoint/inventory.img" in archive.getnames()
    with pytest.raises(GRPCError, match="not empty") as failure:
        await kubelet.runtime.checkpoint_pod(request)
    assert failure.value.status is Status.FAILED_PRECONDITION
    shutil.rmtree(directory)


async def test_what_can_not_be_checkpointed_is_refused(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    created = await kubelet.create(pod)
    with pytest.raises(GRPCError, match="CREATED") as failure:
        await checkpoint(kubelet, created)
    assert failure.value.status is Status.UNKNOWN
    with pytest.raises(GRPCError) as failure:
        await checkpoint(kubelet, "0000")
    assert failure.value.status is Status.NOT_FOUND
