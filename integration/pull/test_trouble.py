"""Registries, disks and servers that fail: a clear error, nothing half-visible, and the next pull works."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio
import pytest
from grpclib.const import Status

from integration.harness.containerd import MAIN
from integration.harness.own_registry import OwnRegistry, Trouble
from integration.kubelet import Kubelet, eventually
from integration.pull.pulls import ACCOUNT, BLOBS, HOST, IMAGE, PORT, STALLED_AFTER, ingests, pull, refusal, troubled
from integration.restarts import killed_during

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode
    from integration.images.store import Store

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Trouble(BLOBS, after=100, cut=True), id="cut off in the configuration"),
        pytest.param(Trouble(BLOBS, after=1 << 20, cut=True), id="cut off in a layer"),
        pytest.param(Trouble("manifests", answer=(503, {}, b"")), id="503"),
        pytest.param(Trouble("manifests", answer=(429, {"Retry-After": "1"}, b"")), id="429"),
        pytest.param(Trouble(BLOBS, answer=(500, {}, b"")), id="500 for a blob"),
        pytest.param(Trouble(BLOBS, answer=(307, {"Location": "http://127.0.0.1:1/"}, b"")), id="led astray"),
        pytest.param(Trouble("manifests", answer=(200, {"Content-Type": "text/html"}, b"<html>")), id="not a registry"),
    ],
)
async def test_a_registry_that_fails_fails_one_pull_alone(
    client: Kubelet, registry: OwnRegistry, trouble: Trouble
) -> None:
    with troubled(registry, trouble):
        message = (await refusal(client)).message or ""
    assert IMAGE in message
    await pull(client)


async def nothing_in_part(pulling: RunningNode) -> None:
    async def gone() -> bool | None:
        return ingests(pulling) == [] or None

    await eventually(gone)


async def test_what_a_failed_pull_has_fetched_is_soon_dropped(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    with troubled(registry, Trouble(BLOBS, after=1 << 20, cut=True)):
        await refusal(client)
    await nothing_in_part(pulling)


@pytest.mark.shim_only  # the peer is containerd: killed below
async def test_what_a_killed_server_was_fetching_is_soon_dropped(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    with troubled(registry, Trouble(BLOBS, after=1 << 20, stall=threading.Event())) as trouble:
        assert trouble.stall
        await killed_during(pulling, lambda: pull(client), 0.5)
        assert trouble.met.is_set()
        trouble.stall.set()
    await nothing_in_part(pulling)


@pytest.mark.shim_only
@pytest.mark.parametrize(
    "full", ["io.containerd.content.v1.content", "io.containerd.snapshotter.v1.overlayfs/snapshots"]
)
@pytest.mark.usefixtures("registry")
async def test_a_full_disk_fails_the_pull_and_once_there_is_space_the_next_one_works(
    client: Kubelet, pulling: RunningNode, full: str
) -> None:
    """Improvement: containerd's plugin has no code and no advice for it."""
    directory = f"{MAIN.root}/{full}"
    pulling.node.run(["mkdir", "-p", directory])
    pulling.node.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", directory])
    pulling.node.run(["mkdir", "-p", f"{directory}/ingest", f"{directory}/blobs/sha256"])
    try:
        error = await refusal(client)
        assert error.status is Status.RESOURCE_EXHAUSTED
        assert "no space left on device" in (error.message or "")
        assert "free space on the node's disk" in (error.message or "")
        pulling.node.run(["mount", "-o", "remount,size=64m", directory])
        await pull(client)
        await client.remove_image(IMAGE)
        assert pulling.node.run(["find", directory, "-type", "f", "-size", "+100k"]).stdout == ""
    finally:
        pulling.node.run(["umount", directory])


@pytest.mark.shim_only
@pytest.mark.parametrize("after", [0, 1 << 20], ids=["a configuration", "a layer"])
async def test_wrong_bytes_are_not_kept_for_the_next_pull(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode, after: int
) -> None:
    """Improvement: containerd keeps them, and gives the same answer until it collects its garbage."""
    with troubled(registry, Trouble(BLOBS, after=after, wrong=True)):
        error = await refusal(client)
    assert error.status is Status.DATA_LOSS
    assert ingests(pulling) == []
    await pull(client)


@pytest.mark.shim_only
@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Trouble("HEAD .*/manifests/", stall=threading.Event()), id="before an answer"),
        pytest.param(Trouble(BLOBS, after=1000, stall=threading.Event()), id="at the beginning of a layer"),
        pytest.param(Trouble(BLOBS, after=2 << 20, stall=threading.Event()), id="in a layer"),
    ],
)
async def test_a_pull_that_stands_still_is_ended(client: Kubelet, registry: OwnRegistry, trouble: Trouble) -> None:
    """Improvement: containerd notices only once a good part of a layer has come."""
    assert trouble.stall
    with troubled(registry, trouble), anyio.fail_after(60):
        error = await refusal(client)
        trouble.stall.set()
    assert error.status is Status.CANCELLED
    assert f"image_pull_progress_timeout ({STALLED_AFTER} s)" in (error.message or "")
    await pull(client)


async def test_a_pull_that_is_slow_and_moves_is_not_ended(client: Kubelet, registry: OwnRegistry) -> None:
    begin = anyio.current_time()
    with troubled(registry, Trouble(BLOBS, pause=0.02)):
        await pull(client)
    assert anyio.current_time() - begin > STALLED_AFTER


async def test_a_redirect_is_followed_without_the_credentials(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode, store: Store
) -> None:
    registry.auth = "basic"
    root = registry.digest_of("plain:1")
    layer = max((one for one in store.reachable(root) if one in store.blobs), key=lambda one: len(store.blobs[one]))
    with OwnRegistry(pulling.node, PORT, HOST, store, address="127.0.0.2") as elsewhere:
        answer = (307, {"Location": f"{elsewhere.url}/v2/plain/blobs/{layer}"}, b"")
        with troubled(registry, Trouble(f"blobs/{layer}", answer=answer)):
            await pull(client, auth=ACCOUNT)
        assert elsewhere.blob_requests() == [layer]
        assert {request.authorization for request in elsewhere.requests} == {""}
