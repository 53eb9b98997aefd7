"""Every call that cri-shim makes to containerd goes wrong once: refused, lost, or the last thing that it did.

After each, nothing may be left once the kubelet has cleaned up: the leak check counts it, call by call.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from anyio import to_thread
from grpclib import GRPCError
from grpclib.client import Channel
from grpclib.exceptions import StreamTerminatedError

from cri_shim.api.runtime import v1 as cri
from integration.harness.assembly import RunningNode, running_node
from integration.harness.containerd import PAUSE
from integration.harness.faults import REFUSAL, Fault
from integration.harness.leaks import Baseline
from integration.harness.traces import Tracer
from integration.kubelet import BUSYBOX, Kubelet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

pytestmark = [pytest.mark.anyio, pytest.mark.shim_only, pytest.mark.timeout(600)]

WHEN = pytest.mark.parametrize("answered", [False, True], ids=["before the call", "before its answer"])
SOON = 30.0  # seconds
MOST_CALLS = 150  # far more than a pod's life takes; a fault that still strikes then strikes for ever


@pytest.fixture(scope="module")
def faulty() -> Iterator[RunningNode]:
    with running_node(faults=True) as node:
        yield node


@pytest.fixture
async def node(faulty: RunningNode) -> AsyncIterator[Kubelet]:
    """A client on the node with the proxy."""
    assert faulty.shim
    channel = Channel(path=str(faulty.shim.socket))
    client = Kubelet(cri.RuntimeServiceStub(channel), cri.ImageServiceStub(channel), str(faulty.node.root))
    for image in (PAUSE, BUSYBOX):
        await client.pull(image)
    yield client
    channel.close()


async def life(kubelet: Kubelet) -> None:
    """A pod's, to its end."""
    container = await kubelet.run(await kubelet.run_pod())
    assert (await kubelet.exec(container, "true")).exit_code == 0
    await kubelet.clean_up()


async def each_call(
    faulty: RunningNode,
    kubelet: Kubelet,
    fault: Callable[[int], Fault],
    work: Callable[[Kubelet], Awaitable[None]],
    after: Callable[[], Awaitable[None]],
) -> list[str]:
    """Do `work` with the first call going wrong, then the second, until there is none left; the calls' names.

    `after` is what is done once a fault has struck. Fails with all calls after which something stayed.
    """
    assert faulty.faults
    baseline = await Baseline.take(Tracer(faulty.containerd))
    hit, left = [], []
    for number in range(MOST_CALLS):
        one = fault(number)
        faulty.faults.arm(one)
        problem = ""
        try:
            await work(kubelet)
        except (GRPCError, StreamTerminatedError, OSError) as error:
            problem = str(error)
        faulty.faults.arm(None)
        assert one.hit or not problem, f"failed without a fault, before call {number}: {problem}"
        if one.hit:
            hit.append(one.hit)
            await to_thread.run_sync(one.done.wait, SOON)
            await after()
        await kubelet.clean_up()
        if stayed := await baseline.difference():
            left.append(f"call {number}, {one.hit}:\n{stayed}")
            baseline = await Baseline.take(Tracer(faulty.containerd))
        if not one.hit:
            break
    assert not left, "\n".join(left)
    assert len(hit) < MOST_CALLS
    return hit


def names(hit: list[str]) -> set[str]:
    return {call.rsplit("/", 1)[1] for call in hit}


async def test_a_call_that_containerd_refuses_leaves_nothing(faulty: RunningNode, node: Kubelet) -> None:
    async def nothing() -> None:
        pass

    hit = await each_call(faulty, node, partial(Fault, refused=True), life, nothing)
    assert {"Prepare", "Create", "Start", "Kill", "Delete", "Exec"} <= names(hit)


@WHEN
async def test_a_connection_that_breaks_leaves_nothing(faulty: RunningNode, node: Kubelet, *, answered: bool) -> None:
    async def works_again() -> None:
        await node.runtime.version(cri.VersionRequest())  # by its answer, the loss has been noticed
        await life(node)

    hit = await each_call(faulty, node, partial(Fault, answered=answered), life, works_again)
    assert {"Prepare", "Create", "Start", "Kill", "Delete", "Exec"} <= names(hit)


@WHEN
async def test_a_kill_leaves_nothing(faulty: RunningNode, node: Kubelet, *, answered: bool) -> None:
    assert faulty.shim
    daemon = faulty.shim.daemon

    async def started_again() -> None:
        assert not daemon.running
        await to_thread.run_sync(daemon.start)

    hit = await each_call(faulty, node, partial(Fault, act=daemon.kill, answered=answered), life, started_again)
    assert {"Prepare", "Create", "Start", "Kill", "Delete", "Exec"} <= names(hit)


async def test_the_refusal_is_told_to_the_client(faulty: RunningNode, node: Kubelet) -> None:
    assert faulty.faults
    fault = Fault(0, refused=True)
    faulty.faults.arm(fault)
    with pytest.raises(GRPCError, match=REFUSAL):
        await node.run_pod()
    faulty.faults.arm(None)
    await node.clean_up()
