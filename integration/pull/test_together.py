"""Several pulls at once, pulls that nobody waits for, and how far a pull is."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import to_thread
from grpclib import GRPCError

from cri_shim.api.runtime import v1 as cri
from cri_shim.observe.timeline import Timeline
from integration.harness.containerd import MAIN, PAUSE
from integration.harness.own_registry import OwnRegistry, Trouble
from integration.kubelet import Kubelet, eventually
from integration.pull.pulls import ARCHIVE, AT_ONCE, BLOBS, HOST, IMAGE, pull, refusal, troubled

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


@pytest.mark.shim_only
async def test_equal_pulls_share_one_transfer_whoever_gives_up(client: Kubelet, registry: OwnRegistry) -> None:
    """Improvement: containerd resolves and fetches once for each, and shares no more than its locks."""
    found: list[str] = []
    with troubled(registry, Trouble(BLOBS, after=1000, stall=threading.Event(), times=1)) as trouble:
        assert trouble.stall

        async def one() -> None:
            found.append(await pull(client))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            tasks.start_soon(one)
            await to_thread.run_sync(trouble.met.wait, 30)
            with anyio.move_on_after(0.2):
                await pull(client)
            trouble.stall.set()
    assert len(found) == 2
    assert len(set(found)) == 1
    assert len(registry.blob_requests()) == len(set(registry.blob_requests()))


async def test_a_pull_that_its_client_gives_up_leaves_nothing(client: Kubelet, registry: OwnRegistry) -> None:
    with troubled(registry, Trouble(BLOBS, after=1000, stall=threading.Event())) as trouble:
        assert trouble.stall
        with anyio.move_on_after(0.5):
            await pull(client)
        trouble.stall.set()
    assert await client.image(IMAGE) is None
    await pull(client)


async def test_containerd_may_be_killed_in_the_middle_of_a_pull(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    if pulling.shim is None:
        pytest.skip("the peer is that containerd")
    daemon = pulling.containerd.daemon
    with troubled(registry, Trouble(BLOBS, after=1000, stall=threading.Event())) as trouble:
        assert trouble.stall
        async with anyio.create_task_group() as tasks:

            async def one() -> None:
                error = await refusal(client)
                assert "containerd" in (error.message or "")

            tasks.start_soon(one)
            await to_thread.run_sync(trouble.met.wait, 30)
            await to_thread.run_sync(daemon.kill)
            trouble.stall.set()
            await to_thread.run_sync(daemon.start)

    async def works() -> str | None:
        try:
            return await pull(client)
        except GRPCError:
            return None

    assert await eventually(works, 30)


@pytest.mark.shim_only
async def test_how_far_a_pull_is_can_be_asked(client: Kubelet, registry: OwnRegistry) -> None:
    """Improvement: no other runtime tells."""

    async def downloading() -> dict[str, Any] | None:
        info = (await client.runtime.status(cri.StatusRequest(verbose=True))).info
        blobs = [blob for pull in json.loads(info["pulls"]) for blob in pull["blobs"].values()]
        return next((blob for blob in blobs if blob["state"] == "downloading"), None)

    with troubled(registry, Trouble(BLOBS, pause=0.02)):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pull, client)
            blob = await eventually(downloading, 20)
    assert 0 < blob["done"] < blob["total"]
    info = (await client.runtime.status(cri.StatusRequest(verbose=True))).info
    assert json.loads(info["pulls"]) == []


def shown(pulling: RunningNode, *words: str) -> tuple[str, str]:
    """What a command of ours prints: on standard output, and on the terminal that its standard error is."""
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "cri_shim", *words, "--endpoint", pulling.shim_endpoint]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=end, text=True, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(end)
        seen = b""
        with suppress(OSError):  # a terminal without its other end
            while data := os.read(terminal, 1 << 16):
                seen += data
        os.close(terminal)
        assert process.stdout
        return process.stdout.read(), seen.decode()


@pytest.mark.shim_only
async def test_a_pull_is_seen_coming_on_a_terminal(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    with troubled(registry, Trouble(BLOBS, pause=0.01)):
        printed, seen = await to_thread.run_sync(shown, pulling, "images", "pull", IMAGE)
    found = await client.image(IMAGE)
    assert found is not None
    assert printed.strip() == found.id
    assert "layer " in seen
    assert re.search(r"(bytes|[kM]B)/s", seen)
    printed, seen = await to_thread.run_sync(shown, pulling, "images", "pull", f"{HOST}/none:1")
    assert f"{HOST}/none:1: not found" in seen.replace("\r\n", "")
    printed, seen = await to_thread.run_sync(shown, pulling, "pulls", "--once")
    assert json.loads(printed) == []


@pytest.mark.shim_only
@pytest.mark.parametrize("archive", ["OCI", "Docker", "missing"])
async def test_the_sandbox_image_is_had_from_an_archive_where_one_is_named(
    client: Kubelet, pulling: RunningNode, archive: str
) -> None:
    """Improvement: containerd can only pull it. What is wrong with an archive is no reason not to try that."""
    await client.pull(PAUSE)
    if archive != "missing":  # by `--local`: without it, ctr may end before all is written
        pulling.containerd.ctr(
            "images", "export", "--local", *(["--skip-manifest-json"] if archive == "OCI" else []), ARCHIVE, PAUSE
        )
    await client.remove_image(PAUSE)
    daemon = pulling.registry.daemon
    if archive != "missing":
        await to_thread.run_sync(daemon.stop)
    try:
        pod = await client.run_pod()
        image = await client.image(PAUSE)
        assert image is not None
        assert image.pinned
        assert image.repo_digests
        await client.stop_pod(pod)
        await client.remove_pod(pod)
    finally:
        if archive != "missing":
            pulling.node.path(ARCHIVE).unlink()
            await to_thread.run_sync(daemon.start)


@pytest.mark.shim_only
async def test_where_the_time_of_a_pull_went_can_be_asked(client: Kubelet, registry: OwnRegistry) -> None:
    with troubled(registry, Trouble(BLOBS, after=1 << 20, pause=0.01)):
        await pull(client)
    request = cri.ImageStatusRequest(image=cri.ImageSpec(image=IMAGE), verbose=True)
    timeline = Timeline.from_json((await client.images.image_status(request)).info["timeline"])
    assert timeline.name == "PullImage"
    whole = next(step for step in timeline.steps if step.name == "pull")
    layer = next(step for step in timeline.steps if step.lane.startswith("layer "))
    assert layer.name.startswith("fetch")
    assert whole.start <= layer.start < layer.start + layer.length <= whole.start + whole.length
    assert layer.length > whole.length / 2


async def test_no_more_layers_come_at_once_than_are_allowed(client: Kubelet, registry: OwnRegistry) -> None:
    with troubled(registry, Trouble(BLOBS, pause=0.02)):
        await pull(client, f"{HOST}/layers:1")
    assert registry.most_at_once == AT_ONCE


@pytest.mark.shim_only
async def test_who_listens_to_events_hears_of_each_layer(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    """Improvement: no other runtime tells."""
    command = ["ctr", "--address", MAIN.socket, "events", 'topic=="/cri-shim/pull"']
    with pulling.node.popen(command, stdout=subprocess.PIPE) as listening:
        try:
            await anyio.sleep(1)
            with troubled(registry, Trouble(BLOBS, pause=0.01)):
                await pull(client)
        finally:
            listening.kill()
        assert listening.stdout
        told = [json.loads(line[line.index(b"{") :]) for line in listening.stdout]
    layer = next(event for event in told if event["name"].startswith("layer-"))
    assert layer["parents"] == [IMAGE]
    assert layer["event"]
