"""From layers to snapshots: in the snapshotter that is wanted, labelled and kept as the configuration says."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from anyio import to_thread

from cri_shim.api.runtime import v1 as cri
from integration.harness.containerd import MAIN
from integration.images.build import CERTS_D
from integration.kubelet import Kubelet, eventually
from integration.pull.pulls import HOST, IMAGE, LAYER_SIZE, pull

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration.harness.assembly import RunningNode
    from integration.harness.own_registry import OwnRegistry
    from integration.images.store import Store

Reconfigure = Callable[..., Awaitable[None]]

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


@pytest.fixture
def reconfigure(pulling: RunningNode) -> Iterator[Reconfigure]:
    """Set keys of the images table, until the test has ended; the peer is not reconfigured."""
    assert pulling.shim
    configuration, daemon = pulling.node.path(MAIN.config), pulling.shim.daemon
    before = configuration.read_text()

    async def set_keys(**keys: object) -> None:
        table = "[plugins.'io.containerd.cri.v1.images']\n"
        lines = "".join(f"  {key} = {json.dumps(value)}\n" for key, value in keys.items())
        configuration.write_text(before.replace(table, table + lines))
        await to_thread.run_sync(daemon.restart)

    yield set_keys
    configuration.write_text(before)
    daemon.restart()


async def test_an_image_that_is_there_and_not_unpacked_needs_no_download(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    containerd = pulling.peer or pulling.containerd
    containerd.ctr("content", "fetch", "--hosts-dir", CERTS_D, IMAGE)

    async def appears() -> cri.Image | None:
        return await client.image(IMAGE)

    await eventually(appears, 20)
    registry.requests.clear()
    pod = await client.run_pod()
    await client.create(pod, client.container_config(image=IMAGE))
    assert registry.requests == []
    await client.stop_pod(pod)
    await client.remove_pod(pod)


@pytest.mark.shim_only  # the peer is not reconfigured
async def test_layers_are_given_up_once_they_are_unpacked_where_that_is_asked(
    reconfigure: Reconfigure, client: Kubelet, registry: OwnRegistry, pulling: RunningNode, store: Store
) -> None:
    await reconfigure(discard_unpacked_layers=True)
    image_id = await pull(client)
    digests = [one for one in store.reachable(registry.digest_of("plain:1")) if one in store.blobs]
    layer = max(digests, key=lambda one: len(store.blobs[one]))

    async def layer_gone() -> bool | None:
        return layer not in pulling.containerd.ctr("content", "list", "-q") or None

    await eventually(layer_gone)
    assert image_id in pulling.containerd.ctr("content", "list", "-q")
    pod = await client.run_pod()
    await client.create(pod, client.container_config(image=IMAGE))
    await client.stop_pod(pod)
    await client.remove_pod(pod)
    assert await pull(client) == image_id
    found = await client.image(IMAGE)
    assert found
    assert found.size > LAYER_SIZE


@pytest.mark.shim_only
@pytest.mark.usefixtures("registry")
async def test_an_image_is_unpacked_for_the_handler_that_it_is_pulled_for(
    client: Kubelet, pulling: RunningNode
) -> None:
    """Improvement: containerd does so only where its Transfer service is set up for the snapshotter, too."""
    pod = cri.PodSandboxConfig(metadata=cri.PodSandboxMetadata(name="x", uid="x", namespace="x"))
    spec = cri.ImageSpec(image=IMAGE, runtime_handler="copying")
    others = snapshots(pulling, "overlayfs")
    await client.images.pull_image(cri.PullImageRequest(image=spec, sandbox_config=pod))
    assert snapshots(pulling, "native") != {}
    assert snapshots(pulling, "overlayfs") == others
    await client.remove_image(IMAGE)
    assert snapshots(pulling, "native") == {}


def snapshots(pulling: RunningNode, snapshotter: str) -> dict[str, dict[str, Any]]:
    """What a snapshotter holds, by key."""
    ctr = (pulling.peer or pulling.containerd).ctr
    keys = [line.split()[0] for line in ctr("snapshots", "--snapshotter", snapshotter, "list").splitlines()[1:]]
    return {key: json.loads(ctr("snapshots", "--snapshotter", snapshotter, "info", key)) for key in keys}


@pytest.mark.shim_only
@pytest.mark.usefixtures("registry")
async def test_snapshots_say_of_which_image_they_are_where_that_is_asked(
    reconfigure: Reconfigure, client: Kubelet, pulling: RunningNode, store: Store
) -> None:
    await reconfigure(disable_snapshot_annotations=False, image_pull_with_sync_fs=True)
    await pull(client, f"{HOST}/layers:1")
    found = {one.get("Parent", ""): one for one in snapshots(pulling, "overlayfs").values()}
    lowest = found[""]["Labels"]
    manifest = lowest["containerd.io/snapshot/cri.manifest-digest"]
    layers = [layer["digest"] for layer in json.loads(store.manifests[manifest].data)["layers"]]
    assert lowest["containerd.io/snapshot/cri.image-ref"] == f"{HOST}/layers:1"
    assert lowest["containerd.io/snapshot/cri.image-layers"].split(",") == layers
    labelled = {one["Labels"]["containerd.io/snapshot/cri.layer-digest"] for one in found.values()}
    assert labelled == set(layers)
    pod = await client.run_pod()
    await client.create(pod, client.container_config(image=f"{HOST}/layers:1"))
    await client.stop_pod(pod)
    await client.remove_pod(pod)
