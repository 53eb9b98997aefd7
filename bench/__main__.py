"""`python -m bench`: run the works on both endpoints of a node, interleaved, and print the table.

--quick       fewer rounds: under two minutes
--only KIND   works of this kind alone (may be repeated): pods, images, crowds, lists, logs, streams, idle
--json FILE   write the rows, samples included
--rounds N    rounds of the works that are repeated
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import anyio
from anyio import to_thread

from bench import logs, streams, works
from bench.endpoint import IMAGE, Endpoint, connect
from bench.figures import MEGABYTES_PER_SECOND, MILLISECONDS, Row, table, to_json
from bench.node import bench_node
from bench.pulls import large_image, pull_large
from cri_shim.api.runtime import v1 as cri

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from bench.node import BenchNode

PULLED = "docker.io/test/big:latest"
Ends: TypeAlias = "Sequence[Endpoint]"


@dataclass(frozen=True)
class Plan:
    """How much of each work."""

    rounds: int
    at_once: tuple[int, ...]
    at_once_rounds: int
    listed: int
    log_megabytes: int
    log_rounds: int
    streamed_megabytes: int
    idle_seconds: float
    idle_pods: int
    pulled: tuple[int, ...]  # megabytes
    pull_rounds: int


FULL = Plan(
    rounds=15,
    at_once=(10, 30),
    at_once_rounds=3,
    listed=300,
    log_megabytes=100,
    log_rounds=5,
    streamed_megabytes=256,
    idle_seconds=20,
    idle_pods=30,
    pulled=(100, 1000),
    pull_rounds=4,
)
QUICK = Plan(
    rounds=3,
    at_once=(10,),
    at_once_rounds=1,
    listed=50,
    log_megabytes=40,
    log_rounds=1,
    streamed_megabytes=64,
    idle_seconds=3,
    idle_pods=5,
    pulled=(),
    pull_rounds=0,
)


async def interleaved(ends: Ends, rounds: int, work: Callable[[Endpoint], Awaitable[None]]) -> None:
    """Do `work` on each endpoint in turn, the one that goes first changing from round to round."""
    for number in range(rounds):
        for end in ends if number % 2 == 0 else reversed(ends):
            await work(end)


async def _pods(ends: Ends, plan: Plan, _: BenchNode) -> None:
    await interleaved(ends, plan.rounds, works.pod_life)
    await interleaved(ends, max(2, plan.rounds // 2), lambda end: works.pod_life(end, host_network=True))


async def _images(ends: Ends, plan: Plan, node: BenchNode) -> None:
    await interleaved(ends, max(2, plan.rounds // 5), lambda end: works.image_life(end, PULLED))
    for megabytes in plan.pulled:
        await to_thread.run_sync(lambda size: node.registry.publish([large_image(size)]), megabytes)
        await interleaved(ends, plan.pull_rounds, partial(pull_large, megabytes=megabytes))


async def _crowds(ends: Ends, plan: Plan, _: BenchNode) -> None:
    for count in plan.at_once:
        await interleaved(ends, plan.at_once_rounds, partial(works.many_pods, count=count))


async def _lists(ends: Ends, plan: Plan, _: BenchNode) -> None:
    await interleaved(ends, 1, lambda end: works.long_list(end, plan.listed, 20))


async def _logs(ends: Ends, plan: Plan, _: BenchNode) -> None:
    await interleaved(ends, plan.log_rounds, lambda end: logs.throughput(end, plan.log_megabytes))
    await interleaved(ends, plan.log_rounds, lambda end: logs.throughput(end, plan.log_megabytes // 4, containers=4))
    await interleaved(ends, 1, lambda end: logs.beside_loggers(end, 10, plan.rounds))


async def _streams(ends: Ends, plan: Plan, node: BenchNode) -> None:
    await interleaved(ends, plan.log_rounds, lambda end: streams.all_ways(end, plan.streamed_megabytes, node.pid))


async def _idle(ends: Ends, plan: Plan, _: BenchNode) -> None:
    await interleaved(ends, 1, lambda end: works.idle(end, plan.idle_seconds))
    await interleaved(ends, 1, lambda end: works.idle_with_pods(end, plan.idle_pods, plan.idle_seconds))


# What `--only` names, in the order in which it is done.
KINDS = {
    "pods": _pods,
    "images": _images,
    "crowds": _crowds,
    "lists": _lists,
    "logs": _logs,
    "streams": _streams,
    "idle": _idle,
}


async def run(plan: Plan, only: Collection[str] = KINDS) -> list[Row]:
    """The works of these kinds on a node of their own; the rows in the order in which the works were first done."""
    async with (
        bench_node() as node,
        connect("ours", node.shim_socket, node.shim_pid, node.log_root, node.root) as ours,
        connect("peer", node.peer_socket, node.peer_pid, node.log_root, node.root) as peer,
    ):
        ends = (ours, peer)
        for end in ends:
            await end.images.pull_image(cri.PullImageRequest(image=cri.ImageSpec(image=IMAGE)))
            await works.pod_life(end)  # warms caches: the pause image, the page cache, lazy imports
            end.samples.clear()
        for kind, work in KINDS.items():
            if kind in only:
                await work(ends, plan, node)
    return rows(ours, peer)


def rows(ours: Endpoint, peer: Endpoint) -> list[Row]:
    """One row for each work."""
    return [
        Row(work, _unit(work), tuple(samples), tuple(peer.samples.get(work, ())))
        for work, samples in ours.samples.items()
    ]


def _unit(work: str) -> str:
    if work.startswith(("server RSS", "idle RSS")):
        return "MiB"
    if work.startswith("idle CPU"):
        return "% core"
    if "p95 beside" in work:
        return "times"
    return MEGABYTES_PER_SECOND if "throughput" in work else MILLISECONDS


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="bench", description="cri-shim beside containerd's own CRI plugin")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: under two minutes")
    parser.add_argument("--only", action="append", choices=tuple(KINDS), help="works of this kind alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows, samples included")
    parser.add_argument("--rounds", type=int, help="rounds of the works that are repeated")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    if arguments.rounds:
        plan = Plan(**{**vars(plan), "rounds": arguments.rounds})
    found = anyio.run(run, plan, arguments.only or KINDS, backend_options={"use_uvloop": True})
    sys.stdout.write(table(found) + "\n")
    if arguments.json:
        arguments.json.write_text(to_json(found))


if __name__ == "__main__":
    main()
