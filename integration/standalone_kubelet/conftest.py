"""A node with a kubelet in it. The tests take minutes, and a kubelet: they run when they are named."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from integration.conftest import SHIM
from integration.harness.assembly import RunningNode, running_node
from integration.harness.containerd import PEER
from integration.harness.errors import HarnessError
from integration.harness.leaks import Baseline
from integration.harness.node import Bind
from integration.harness.shim import SOCKET
from integration.harness.traces import Tracer
from integration.standalone_kubelet import standalone
from integration.standalone_kubelet.host_directory import HostDirectory
from integration.standalone_kubelet.standalone import StandaloneKubelet

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_HERE: Final = Path(__file__).parent
_COLLECTED: Final = 150.0  # seconds until the kubelet has collected what is left of its pods: it does so each minute

_numbers = itertools.count(1)


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave these tests out of a run that doesn't name them."""
    named = (Path(argument.partition("::")[0]).resolve() for argument in config.args)
    return None if any(path.is_relative_to(_HERE) for path in named) else True


@pytest.fixture(scope="session")
def running(endpoint: str) -> Iterator[RunningNode]:
    """The session's node: beside the tested endpoint, it has the kubelet's binary."""
    try:
        binary = standalone.find()
        if binary is None:
            pytest.skip("no kubelet: put it on PATH, or name it in $KUBELET")
        binds, disks = [Bind(str(binary), standalone.BINARY)], (standalone.ROOT,)
        with running_node(shim=endpoint == SHIM, peer=endpoint != SHIM, binds=binds, disks=disks) as node:
            yield node
    except HarnessError as error:
        pytest.exit(f"no node for the kubelet: {error}", returncode=2)


@pytest.fixture(scope="session")
def started_kubelet(running: RunningNode) -> Iterator[StandaloneKubelet]:
    """The session's kubelet. When all its pods have gone, and it has gone too, nothing of them may be left."""
    under = running.peer or running.containerd
    kubelet = StandaloneKubelet(running.node, SOCKET if running.shim else PEER.socket, under.place.socket)
    baseline = anyio.run(Baseline.take, Tracer(under))
    kubelet.daemon.start()
    yield kubelet
    for name in kubelet.names():
        kubelet.remove(name)
    for name in kubelet.running():
        kubelet.gone(name)
    anyio.run(_collected, baseline)
    kubelet.daemon.stop()
    left = anyio.run(baseline.difference)
    if left and running.shim:  # with containerd, the shims stay of pods whose first process was the first to end
        pytest.fail(f"the kubelet's pods left something in the node:\n{left}", pytrace=False)


async def _collected(baseline: Baseline) -> None:
    """Wait until the kubelet has removed what its pods were made of, as it does each minute."""
    with anyio.move_on_after(_COLLECTED):
        while (await baseline.tracer.traces())["containers"] != baseline.before["containers"]:  # noqa: ASYNC110
            await anyio.sleep(1)


@pytest.fixture
def kubelet(started_kubelet: StandaloneKubelet) -> Iterator[StandaloneKubelet]:
    """The kubelet; the pods that the test hands it are told to end after it."""
    yield started_kubelet
    for name in started_kubelet.names():
        started_kubelet.remove(name)


@pytest.fixture
def reconfigured(started_kubelet: StandaloneKubelet) -> Iterator[Callable[..., None]]:
    """Start the kubelet anew with changes to its configuration; after the test it is as before."""

    def start(**changes: object) -> None:
        started_kubelet.daemon.stop()
        started_kubelet.configure(**changes)
        started_kubelet.daemon.start()

    yield start
    start()


@pytest.fixture
def kept(running: RunningNode, request: pytest.FixtureRequest) -> HostDirectory:
    """A directory of the node's, which outlives the pods that it is shown in."""
    return HostDirectory(running.node, f"/var/lib/kept/{request.node.name.partition('[')[0]}-{next(_numbers)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the kubelet logged last when a test fails."""
    report = yield
    kubelet = getattr(item, "funcargs", {}).get("started_kubelet")
    if report.failed and isinstance(kubelet, StandaloneKubelet):
        report.sections.append((kubelet.daemon.log, kubelet.daemon.log_end()))
    return report
