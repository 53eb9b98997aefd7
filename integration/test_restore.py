"""Containers restored from checkpoints: they go on where they were, and a hostile archive comes to nothing."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError, Status
from grpclib.client import Channel

from cri_shim.api.runtime import v1 as cri
from integration.harness.assembly import running_node
from integration.harness.containerd import PAUSE, Changes
from integration.harness.leaks import Baseline
from integration.harness.traces import Tracer
from integration.kubelet import BUSYBOX, Kubelet, Pod, eventually
from integration.restarts import restart

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from integration.harness.assembly import RunningNode

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.shim_only,  # of containerd's lines only 2.1 restores, and that from any file of the node's
]

CHECKPOINTS = "/var/lib/kubelet/checkpoints"
CRI_ROOT = "/var/lib/containerd/io.containerd.grpc.v1.cri"
COUNTER = (
    "sh",
    "-c",
    "echo data > /written; n=0; while [ ! -e /end ]; do n=$((n+1)); echo $n; sleep 0.2; done; exit 7",
)


@pytest.fixture(scope="module")
def restoring() -> Iterator[RunningNode]:
    """A node where an image may name a checkpoint."""
    changes = Changes(settings={"enable_experimental_restore_via_create": True})
    with running_node(changes=changes) as node:
        if node.node.run(["criu", "check"], check=False).returncode:
            pytest.skip("this machine's kernel can't be used by CRIU")
        yield node


@pytest.fixture
async def kubelet(restoring: RunningNode) -> AsyncIterator[Kubelet]:
    """As everywhere, on that node."""
    assert restoring.shim
    channel = Channel(path=str(restoring.shim.socket))
    client = Kubelet(cri.RuntimeServiceStub(channel), cri.ImageServiceStub(channel), str(restoring.node.root))
    for image in (PAUSE, BUSYBOX):
        await client.pull(image)
    baseline = await Baseline.take(Tracer(restoring.containerd))
    yield client
    await client.remove_all()
    left = await baseline.difference()
    channel.close()
    assert not left


async def numbers(kubelet: Kubelet, container: str) -> list[int]:
    return [int(line.split()[3]) for line in await kubelet.log(container)]


async def counted(kubelet: Kubelet, container: str, least: int) -> list[int]:
    async def enough() -> list[int] | None:
        found = await numbers(kubelet, container)
        return found if found and found[-1] >= least else None

    return await eventually(enough, 20)


async def checkpointed(kubelet: Kubelet, restoring: RunningNode) -> str:
    """The archive of a container that has counted, and is gone; its path in the node."""
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod, kubelet.container_config(COUNTER))
    await counted(kubelet, container, 5)
    location = f"{CHECKPOINTS}/{container}.tar"
    restoring.node.path(CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    await kubelet.runtime.checkpoint_container(
        cri.CheckpointContainerRequest(container_id=container, location=location, timeout=60)
    )
    await kubelet.stop_pod(pod)
    await kubelet.remove_pod(pod)
    return location


async def goes_on(kubelet: Kubelet, container: str) -> None:
    """The container counts on from where it was, has its files, keeps its log, and ends as it is meant to."""
    found = await counted(kubelet, container, 12)
    assert found == list(range(1, found[-1] + 1))  # none lost, none doubled, and none counted anew
    assert (await kubelet.exec(container, "cat", "/written")).stdout == b"data\n"
    await kubelet.exec(container, "touch", "/end")
    status = await kubelet.exited(container)
    assert (status.exit_code, status.reason) == (7, "Error")


async def test_a_container_goes_on_from_its_archive(kubelet: Kubelet, restoring: RunningNode) -> None:
    archive = await checkpointed(kubelet, restoring)
    pod = await kubelet.run_pod()
    config = kubelet.container_config(COUNTER, image=archive)
    container = await kubelet.create(pod, config)
    assert await kubelet.create(pod, config) == container
    before = await numbers(kubelet, container)
    assert before[0] == 1
    assert before[-1] >= 5
    await kubelet.start(container)
    await goes_on(kubelet, container)
    restoring.node.path(archive).unlink()


async def test_a_container_waits_for_its_start_across_a_restart_of_ours(
    kubelet: Kubelet, restoring: RunningNode
) -> None:
    archive = await checkpointed(kubelet, restoring)
    pod = await kubelet.run_pod()
    container = await kubelet.create(pod, kubelet.container_config(COUNTER, image=archive))
    restoring.node.path(archive).unlink()
    await restart(restoring, "kill -9")
    await kubelet.start(container)
    await goes_on(kubelet, container)


async def test_a_container_that_a_cut_off_checkpoint_has_frozen_is_thawed(
    kubelet: Kubelet, restoring: RunningNode
) -> None:
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod, kubelet.container_config(COUNTER))
    await counted(kubelet, container, 2)
    restoring.containerd.ctr("tasks", "pause", container)  # as it is while CRIU is at work
    work = restoring.node.path(f"{CRI_ROOT}/containers/{container}/ctrd-checkpoint")
    work.mkdir()
    await restart(restoring, "kill -9")
    before = await numbers(kubelet, container)
    await counted(kubelet, container, before[-1] + 3)
    assert (await kubelet.status(container)).state == cri.ContainerState.CONTAINER_RUNNING
    assert not work.exists()


async def test_a_container_goes_on_from_an_image_of_its_archive(kubelet: Kubelet, restoring: RunningNode) -> None:
    archive = restoring.node.path(await checkpointed(kubelet, restoring))
    name = "registry.k8s.io/checkpoints/counter:1"
    import_image(restoring, archive, name)
    archive.unlink()
    assert await eventually(lambda: kubelet.image(name))
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod, kubelet.container_config(COUNTER, image=name))
    await goes_on(kubelet, container)
    assert (await kubelet.status(container)).image == cri.ImageSpec(image=BUSYBOX)
    await kubelet.remove_all()
    await kubelet.remove_image(name)


def import_image(node: RunningNode, archive: Path, name: str) -> None:
    """Bring an image with the archive as its one layer, annotated as `buildah` is told to, into containerd."""
    layer = gzip.compress(archive.read_bytes(), 1)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [digest(archive.read_bytes())]},
    }
    blobs = [layer, json.dumps(config).encode()]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", blobs[1]),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer)],
        "annotations": {"org.criu.checkpoint.container.name": "main"},
    }
    blobs.append(json.dumps(manifest).encode())
    top = descriptor(str(manifest["mediaType"]), blobs[-1]) | {"annotations": {"io.containerd.image.name": name}}
    files = {f"blobs/sha256/{digest(blob).removeprefix('sha256:')}": blob for blob in blobs}
    files["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [top]}).encode()
    with tarfile.open(node.node.path("/tmp/image.tar"), "w") as layout:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            layout.addfile(member, io.BytesIO(content))
    node.containerd.ctr("images", "import", "/tmp/image.tar")
    node.node.path("/tmp/image.tar").unlink()


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest(content), "size": len(content)}


async def test_a_pod_goes_on_with_all_its_containers(kubelet: Kubelet, restoring: RunningNode) -> None:
    pod = await kubelet.run_pod()
    configs = [kubelet.container_config(COUNTER, name=name) for name in ("one", "two")]
    for config in configs:
        await counted(kubelet, await kubelet.run(pod, config), 5)
    await kubelet.runtime.checkpoint_pod(cri.CheckpointPodRequest(pod_sandbox_id=pod.id, output_path="/tmp/pod"))
    request = cri.RestorePodRequest(checkpoint_path="/tmp/pod", config=pod.config, container_configs=configs)
    with pytest.raises(GRPCError, match="is there already") as failure:
        await kubelet.runtime.restore_pod(request)
    assert failure.value.status is Status.FAILED_PRECONDITION
    await kubelet.stop_pod(pod)
    await kubelet.remove_pod(pod)
    shutil.rmtree(kubelet.path(pod.config.log_directory))  # as on another node
    with pytest.raises(GRPCError, match=r"container_configs are of \['one'\]"):
        await kubelet.runtime.restore_pod(
            cri.RestorePodRequest(checkpoint_path="/tmp/pod", config=pod.config, container_configs=configs[:1])
        )
    restored = await kubelet.runtime.restore_pod(request)
    kubelet.pods.append(Pod(restored.pod_sandbox_id, pod.config))
    assert [one.name for one in restored.restored_containers] == ["one", "two"]
    for one in restored.restored_containers:
        status = await kubelet.status(one.container_id)
        assert status.metadata == cri.ContainerMetadata(name=one.name)
        await goes_on(kubelet, one.container_id)
    shutil.rmtree(restoring.node.path("/tmp/pod"))


async def test_a_pod_that_can_not_be_restored_leaves_nothing(kubelet: Kubelet, restoring: RunningNode) -> None:
    pod = await kubelet.run_pod()
    config = kubelet.container_config(COUNTER)
    await counted(kubelet, await kubelet.run(pod, config), 2)
    await kubelet.runtime.checkpoint_pod(cri.CheckpointPodRequest(pod_sandbox_id=pod.id, output_path="/tmp/pod"))
    await kubelet.stop_pod(pod)
    await kubelet.remove_pod(pod)
    directory = restoring.node.path("/tmp/pod")
    spoil(directory / "main.tar", "checkpoint/inventory.img")
    request = cri.RestorePodRequest(checkpoint_path="/tmp/pod", config=pod.config, container_configs=[config])
    with pytest.raises(GRPCError, match=r"CRIU did not restore the container .*inventory"):
        await kubelet.runtime.restore_pod(request)
    assert await kubelet.list_pods() == []
    (directory / "pod.json").write_text(
        '{"version": 1, "containers": [{"name": "main", "archive": "../../etc/x.tar"}]}'
    )
    with pytest.raises(GRPCError, match="no archive's name"):
        await kubelet.runtime.restore_pod(request)
    shutil.rmtree(directory)


def spoil(archive: Path, name: str) -> None:
    """Have the member `name` of the archive hold something else."""
    with tarfile.open(archive) as tar:
        members = [(one, tar.extractfile(one).read() if one.isfile() else b"") for one in tar]  # type: ignore[union-attr]
    with tarfile.open(archive, "w") as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size if member.name == name else content))


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ({"name": "container.log", "type": tarfile.SYMTYPE, "linkname": "/etc/shadow"}, "neither a regular file"),
        ({"name": "checkpoint/a", "type": tarfile.LNKTYPE, "linkname": "/etc/shadow"}, "neither a regular file"),
        ({"name": "checkpoint/null", "type": tarfile.CHRTYPE}, "neither a regular file"),
        ({"name": "../../../../etc/cron.d/x"}, "leads out"),
        ({"name": "/etc/cron.d/x"}, "leads out"),
    ],
)
async def test_a_hostile_archive_comes_to_nothing(
    kubelet: Kubelet, restoring: RunningNode, member: dict[str, object], reason: str
) -> None:
    directory = restoring.node.path(CHECKPOINTS)
    directory.mkdir(parents=True, exist_ok=True)
    described = b'{"rootfsImageName": "%s"}' % BUSYBOX.encode()
    with tarfile.open(directory / "hostile.tar", "w") as archive:
        plain = tarfile.TarInfo("config.dump")
        plain.size = len(described)
        archive.addfile(plain, io.BytesIO(described))
        evil = tarfile.TarInfo()
        for field, value in member.items():
            setattr(evil, field, value)
        archive.addfile(evil)
    pod = await kubelet.run_pod()
    with pytest.raises(GRPCError, match=reason) as failure:
        await kubelet.create(pod, kubelet.container_config(image=f"{CHECKPOINTS}/hostile.tar"))
    assert failure.value.status is Status.INVALID_ARGUMENT
    assert await kubelet.list_containers() == []


async def test_archives_are_read_only_where_they_are_kept(kubelet: Kubelet, restoring: RunningNode) -> None:
    pod = await kubelet.run_pod()
    directory = restoring.node.path(CHECKPOINTS)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "link.tar").symlink_to("/etc/passwd")
    for path in ("/etc/passwd", f"{CHECKPOINTS}/../../../../etc/passwd", f"{CHECKPOINTS}/link.tar", "/dev/zero"):
        with pytest.raises(GRPCError, match="is not below any of checkpoint_dirs") as failure:
            await kubelet.create(pod, kubelet.container_config(image=path))
        assert failure.value.status is Status.INVALID_ARGUMENT
    with pytest.raises(GRPCError, match="can't be unpacked"):
        await kubelet.create(pod, kubelet.container_config(image=f"{CHECKPOINTS}/missing.tar"))
    (directory / "link.tar").unlink()
