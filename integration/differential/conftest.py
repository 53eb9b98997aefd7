"""Both endpoints' answers to all cases that were chosen, and the sum at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from integration.differential.case import Case, Pod
from integration.differential.comparison import COMPARED
from integration.differential.nodes import running
from integration.differential.sides import ask, sides
from integration.harness.containerd import PAUSE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration.differential.sides import Found, Side

PODS_AT_ONCE = 4


@pytest.fixture(scope="session")
async def answers(request: pytest.FixtureRequest) -> dict[Case, list[Found]]:
    """What both sides made of each chosen case, ours first."""
    chosen = [value for item in request.session.items for value in _parameters(item) if isinstance(value, Case)]
    by_node: dict[str, dict[Pod, list[Case]]] = {}
    for case in chosen:
        by_node.setdefault(case.pod.node, {}).setdefault(case.pod, []).append(case)
    found: dict[Case, list[Found]] = {}
    for node, pods in by_node.items():
        with running(node) as both:
            async with sides(both) as endpoints:
                await _pull(endpoints, [case for cases in pods.values() for case in cases])
                found |= await _answers(endpoints, pods)
    return found


def _parameters(item: pytest.Item) -> list[object]:
    call = getattr(item, "callspec", None)
    return list(call.params.values()) if call else []


async def _pull(endpoints: Sequence[Side], chosen: Sequence[Case]) -> None:
    async with anyio.create_task_group() as tasks:
        for image in sorted({PAUSE}.union(*(case.images for case in chosen))):
            for side in endpoints:
                tasks.start_soon(side.kubelet.pull, image)


async def _answers(endpoints: Sequence[Side], pods: dict[Pod, list[Case]]) -> dict[Case, list[Found]]:
    """The answers of one node. The pods that take longest begin first."""
    found: dict[Case, list[Found]] = {}
    turn = anyio.Semaphore(PODS_AT_ONCE)

    async def of(pod: Pod, cases: list[Case]) -> None:
        async with turn:
            found.update(await ask(endpoints, pod, cases))

    async with anyio.create_task_group() as tasks:
        for pod, cases in sorted(pods.items(), key=lambda item: -len(item[1])):
            tasks.start_soon(of, pod, cases)
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    compared = config.stash.get(COMPARED, [])
    if compared:
        terminalreporter.write_line(f"{len(compared)} compared, {sum(compared)} equal")
