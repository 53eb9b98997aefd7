"""Containers that write their logs as fast as they are taken, and pods beside them."""

from __future__ import annotations

import shutil
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio

from bench import works
from bench.endpoint import container_config, pod_config
from bench.figures import percentile
from cri_shim.api.runtime import v1 as cri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.endpoint import Endpoint

SHARED = "/run/bench"  # in the node, in memory
LINES = f"{SHARED}/lines"  # 1 MB
_LOUD_SECONDS = 1.0  # until what gathers first has gathered, or is gone
_POD_OPERATIONS = ("pod up", "pod down", "ExecSync true", "ContainerStatus", "ListContainers")


async def throughput(end: Endpoint, megabytes: int, *, containers: int = 1) -> None:
    """Containers of one pod that write so much each, in lines of 100 bytes, to their ends.

    What writes is `cat`, from memory: a writer that makes its lines is slower than a log.
    """
    label = f", {containers} containers" if containers > 1 else ""
    async with _pod_of(end, ["cat", *[LINES] * megabytes], containers) as ids:
        cpu, begin = end.cpu_seconds(), time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for container_id in ids:
                tasks.start_soon(_run_to_its_end, end, container_id)
        seconds = time.perf_counter() - begin
        end.record(f"log throughput{label}", containers * megabytes / seconds)
        end.record(f"server CPU per log MB{label}", (end.cpu_seconds() - cpu) / (containers * megabytes) * 1e3)


async def beside_loggers(end: Endpoint, count: int, rounds: int) -> None:
    """The lives of pods beside `count` containers that log as fast as they can, and while these are silent, in turn.

    What is recorded is how long it took beside them, and the p95 of that by the p95 at rest.
    """
    go = end.node_root / SHARED.lstrip("/") / "go"
    said = " ".join([LINES] * 10)
    script = f"while :; do if [ -e {SHARED}/go ]; then cat {said}; else sleep 0.05; fi; done"
    silent, loud = replace(end, samples={}), replace(end, samples={})
    async with _pod_of(end, ["sh", "-c", script], count) as ids:
        for container_id in ids:
            await end.runtime.start_container(cri.StartContainerRequest(container_id=container_id))
        for _ in range(rounds):
            await works.pod_life(silent)
            await anyio.to_thread.run_sync(go.touch)
            await anyio.sleep(_LOUD_SECONDS)
            await works.pod_life(loud)
            await anyio.to_thread.run_sync(go.unlink)
            await anyio.sleep(_LOUD_SECONDS)
    for operation in _POD_OPERATIONS:
        at_rest, beside = silent.samples[operation], loud.samples[operation]
        for sample in beside:
            end.record(f"{operation} beside {count} loggers", sample)
        end.record(f"{operation}, p95 beside loggers by at rest", percentile(beside, 95) / percentile(at_rest, 95))


@asynccontextmanager
async def _pod_of(end: Endpoint, command: Sequence[str], count: int) -> AsyncIterator[list[str]]:
    """A pod with so many containers that run `command` and were not yet started: their ids."""
    config = pod_config(end, host_network=True)
    run = end.runtime
    sandbox_id = (await run.run_pod_sandbox(cri.RunPodSandboxRequest(config=config))).pod_sandbox_id
    ids = []
    try:
        for number in range(count):
            container = container_config(list(command), f"writer{number}")
            container.mounts = [cri.Mount(container_path=SHARED, host_path=SHARED, readonly=True)]
            request = cri.CreateContainerRequest(pod_sandbox_id=sandbox_id, config=container, sandbox_config=config)
            ids.append((await run.create_container(request)).container_id)
        yield ids
    finally:
        await run.stop_pod_sandbox(cri.StopPodSandboxRequest(pod_sandbox_id=sandbox_id))
        await run.remove_pod_sandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id))
        logs = end.node_root / config.log_directory.lstrip("/")
        await anyio.to_thread.run_sync(partial(shutil.rmtree, logs))  # as a kubelet does


async def _run_to_its_end(end: Endpoint, container_id: str) -> None:
    await end.runtime.start_container(cri.StartContainerRequest(container_id=container_id))
    while True:
        answer = await end.runtime.container_status(cri.ContainerStatusRequest(container_id=container_id))
        if answer.status and answer.status.state == cri.ContainerState.CONTAINER_EXITED:
            assert answer.status.exit_code == 0, answer.status
            return
        await anyio.sleep(0.01)
