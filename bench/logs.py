"""Containers that write their logs as fast as they are taken, and pods beside them."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from bench import works
from bench.endpoint import container_config, pod_config
from bench.figures import percentile
from cri_shim.api.runtime import v1 as cri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.endpoint import Endpoint

LINES = "/run/bench/lines"  # in the node, in memory: 1 MB
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
    """The life of a pod on a node at rest, and beside `count` containers that log as fast as they can: both p95."""
    idle = await _lives(end, rounds)
    async with _pod_of(end, ["sh", "-c", f"while :; do cat {' '.join([LINES] * 100)}; done"], count) as ids:
        for container_id in ids:
            await end.runtime.start_container(cri.StartContainerRequest(container_id=container_id))
        await anyio.sleep(1)
        busy = await _lives(end, rounds)
    for operation in _POD_OPERATIONS:
        for sample in busy[operation]:
            end.record(f"{operation} beside {count} loggers", sample)
        slower = percentile(busy[operation], 95) / percentile(idle[operation], 95)
        end.record(f"{operation}: p95 beside {count} loggers by p95 at rest", slower)


async def _lives(end: Endpoint, rounds: int) -> dict[str, list[float]]:
    """The samples of so many pods' lives, one after another."""
    apart = replace(end, samples={})
    for _ in range(rounds):
        await works.pod_life(apart)
    return apart.samples


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
            container.mounts = [cri.Mount(container_path=LINES, host_path=LINES, readonly=True)]
            request = cri.CreateContainerRequest(pod_sandbox_id=sandbox_id, config=container, sandbox_config=config)
            ids.append((await run.create_container(request)).container_id)
        yield ids
    finally:
        await run.stop_pod_sandbox(cri.StopPodSandboxRequest(pod_sandbox_id=sandbox_id))
        await run.remove_pod_sandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id))


async def _run_to_its_end(end: Endpoint, container_id: str) -> None:
    await end.runtime.start_container(cri.StartContainerRequest(container_id=container_id))
    while True:
        answer = await end.runtime.container_status(cri.ContainerStatusRequest(container_id=container_id))
        if answer.status and answer.status.state == cri.ContainerState.CONTAINER_EXITED:
            assert answer.status.exit_code == 0, answer.status
            return
        await anyio.sleep(0.01)
