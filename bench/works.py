"""The works: what a node does all day, each on one endpoint."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import anyio

from bench.endpoint import IMAGE, Endpoint, container_config, pod_config
from cri_shim.api.runtime import v1 as cri

if TYPE_CHECKING:
    from collections.abc import Sequence

SLEEP = ["sleep", "100000"]


async def pod_life(end: Endpoint, *, host_network: bool = False) -> None:
    """One pod with one container, from nothing to nothing; each call timed."""
    suffix = " (host)" if host_network else ""
    config = pod_config(end, host_network=host_network)
    begin = time.perf_counter()
    sandbox = await end.timed(
        f"RunPodSandbox{suffix}", lambda: end.runtime.run_pod_sandbox(cri.RunPodSandboxRequest(config=config))
    )
    sandbox_id = sandbox.pod_sandbox_id
    request = cri.CreateContainerRequest(
        pod_sandbox_id=sandbox_id, config=container_config(SLEEP), sandbox_config=config
    )
    container_id = (
        await end.timed(f"CreateContainer{suffix}", lambda: end.runtime.create_container(request))
    ).container_id
    await end.timed(
        f"StartContainer{suffix}",
        lambda: end.runtime.start_container(cri.StartContainerRequest(container_id=container_id)),
    )
    end.record(f"pod up{suffix}", (time.perf_counter() - begin) * 1e3)
    if not host_network:
        await _running(end, sandbox_id, container_id)
    stop = cri.StopContainerRequest(container_id=container_id, timeout=0)
    await end.timed(f"StopContainer{suffix}", lambda: end.runtime.stop_container(stop))
    remove = cri.RemoveContainerRequest(container_id=container_id)
    await end.timed(f"RemoveContainer{suffix}", lambda: end.runtime.remove_container(remove))
    await remove_pod(end, sandbox_id, suffix)


async def remove_pod(end: Endpoint, sandbox_id: str, suffix: str = "") -> None:
    """Stop and remove a pod, timed."""
    begin = time.perf_counter()
    stop = cri.StopPodSandboxRequest(pod_sandbox_id=sandbox_id)
    await end.timed(f"StopPodSandbox{suffix}", lambda: end.runtime.stop_pod_sandbox(stop))
    remove = cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id)
    await end.timed(f"RemovePodSandbox{suffix}", lambda: end.runtime.remove_pod_sandbox(remove))
    end.record(f"pod down{suffix}", (time.perf_counter() - begin) * 1e3)


async def _running(end: Endpoint, sandbox_id: str, container_id: str) -> None:
    """The calls on a running pod that a kubelet makes most."""
    run = end.runtime
    exec_true = cri.ExecSyncRequest(container_id=container_id, cmd=["true"], timeout=10)
    await end.timed("ExecSync true", lambda: run.exec_sync(exec_true))
    for _ in range(3):
        await end.timed(
            "ContainerStatus", lambda: run.container_status(cri.ContainerStatusRequest(container_id=container_id))
        )
        await end.timed(
            "PodSandboxStatus", lambda: run.pod_sandbox_status(cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id))
        )
        await end.timed("ListContainers", lambda: run.list_containers(cri.ListContainersRequest()))
        await end.timed("ListPodSandbox", lambda: run.list_pod_sandbox(cri.ListPodSandboxRequest()))
        await end.timed("Version", lambda: run.version(cri.VersionRequest()))
        await end.timed("Status", lambda: run.status(cri.StatusRequest()))
        await end.timed("ListImages", lambda: end.images.list_images(cri.ListImagesRequest()))
        await end.timed(
            "ImageStatus", lambda: end.images.image_status(cri.ImageStatusRequest(image=cri.ImageSpec(image=IMAGE)))
        )
        await end.timed("ImageFsInfo", lambda: end.images.image_fs_info(cri.ImageFsInfoRequest()))


async def image_life(end: Endpoint, image: str) -> None:
    """Pull an image that is not there, and remove it."""
    spec = cri.ImageSpec(image=image)
    await end.timed("PullImage", lambda: end.images.pull_image(cri.PullImageRequest(image=spec)))
    await end.timed("RemoveImage", lambda: end.images.remove_image(cri.RemoveImageRequest(image=spec)))


async def many_pods(end: Endpoint, count: int) -> None:
    """`count` pods started at once, and taken down at once."""
    sandboxes: list[str] = []

    async def up() -> None:
        sandboxes.append(await start_pod(end, SLEEP))

    async def down(sandbox_id: str) -> None:
        await end.runtime.stop_pod_sandbox(cri.StopPodSandboxRequest(pod_sandbox_id=sandbox_id))
        await end.runtime.remove_pod_sandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id))

    cpu, begin = end.cpu_seconds(), time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(up)
    end.record(f"{count} pods at once", (time.perf_counter() - begin) * 1e3)
    end.record(f"server CPU per pod up, {count} at once", (end.cpu_seconds() - cpu) / count * 1e3)
    end.record(f"server RSS with {count} pods", end.rss_mebibytes())
    begin = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for sandbox_id in sandboxes:
            tasks.start_soon(down, sandbox_id)
    end.record(f"{count} pods down at once", (time.perf_counter() - begin) * 1e3)


async def start_pod(end: Endpoint, command: Sequence[str], *, host_network: bool = False) -> str:
    """A pod whose one container runs `command`; the sandbox's id."""
    config = pod_config(end, host_network=host_network)
    run = end.runtime
    sandbox_id = (await run.run_pod_sandbox(cri.RunPodSandboxRequest(config=config))).pod_sandbox_id
    created = await run.create_container(
        cri.CreateContainerRequest(
            pod_sandbox_id=sandbox_id, config=container_config(list(command)), sandbox_config=config
        )
    )
    await run.start_container(cri.StartContainerRequest(container_id=created.container_id))
    return sandbox_id


async def long_list(end: Endpoint, count: int, calls: int) -> None:
    """ListContainers of `count` containers that were created in one pod, `calls` times."""
    config = pod_config(end, host_network=True)
    run = end.runtime
    sandbox_id = (await run.run_pod_sandbox(cri.RunPodSandboxRequest(config=config))).pod_sandbox_id
    for number in range(count):
        await run.create_container(
            cri.CreateContainerRequest(
                pod_sandbox_id=sandbox_id, config=container_config(SLEEP, f"c{number}"), sandbox_config=config
            )
        )
    for _ in range(calls):
        await end.timed(f"ListContainers ({count})", lambda: run.list_containers(cri.ListContainersRequest()))
    begin = time.perf_counter()
    await run.stop_pod_sandbox(cri.StopPodSandboxRequest(pod_sandbox_id=sandbox_id))
    await run.remove_pod_sandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id))
    end.record(f"teardown of {count} created", (time.perf_counter() - begin) * 1e3)


async def idle(end: Endpoint, seconds: float) -> None:
    """What the server uses while a kubelet only lists, once a second, as PLEG does."""
    end.record("idle CPU, lists each second", await _polled(end, seconds))
    end.record("idle RSS", end.rss_mebibytes())


async def idle_with_pods(end: Endpoint, count: int, seconds: float) -> None:
    """What the server uses while `count` pods sleep and a kubelet lists each second and reads stats each 10 s."""
    sandboxes = [await start_pod(end, SLEEP) for _ in range(count)]
    end.record(f"idle CPU with {count} pods, lists and stats", await _polled(end, seconds, stats_every=10))
    end.record(f"idle RSS with {count} pods", end.rss_mebibytes())
    run, containers, pods = end.runtime, cri.ListContainerStatsRequest(), cri.ListPodSandboxStatsRequest()
    for _ in range(10):
        await anyio.sleep(1)  # what is asked for again at once is answered from memory, and that is not the point
        await end.timed(f"ListContainerStats ({count})", lambda: run.list_container_stats(containers))
        await end.timed(f"ListPodSandboxStats ({count})", lambda: run.list_pod_sandbox_stats(pods))
    for sandbox_id in sandboxes:
        await end.runtime.stop_pod_sandbox(cri.StopPodSandboxRequest(pod_sandbox_id=sandbox_id))
        await end.runtime.remove_pod_sandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id))


async def _polled(end: Endpoint, seconds: float, stats_every: int = 0) -> float:
    """The share of a core, in percent, that the server takes of lists each second, and stats every so many."""
    cpu, begin = end.cpu_seconds(), time.perf_counter()
    for second in itertools.count():
        await anyio.sleep(max(0, begin + second - time.perf_counter()))
        if second >= seconds:
            break
        await end.runtime.list_pod_sandbox(cri.ListPodSandboxRequest())
        await end.runtime.list_containers(cri.ListContainersRequest())
        if stats_every and second % stats_every == 0:
            await end.runtime.list_pod_sandbox_stats(cri.ListPodSandboxStatsRequest())
            await end.runtime.list_container_stats(cri.ListContainerStatsRequest())
    return (end.cpu_seconds() - cpu) / (time.perf_counter() - begin) * 100
