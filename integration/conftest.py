"""A node for the session, a CRI endpoint on it, and after each test the proof that nothing stayed.

pytest integration                         against cri-shim
pytest integration --endpoint containerd   the same tests against containerd's own CRI
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from grpclib.client import Channel

from cri_shim.api.runtime import v1 as cri
from integration.harness import this_machine
from integration.harness.assembly import RunningNode, prepare, running_node
from integration.harness.containerd import PAUSE, Changes, Containerd
from integration.harness.errors import HarnessError
from integration.harness.leaks import Baseline
from integration.harness.patience import patience
from integration.harness.traces import Tracer
from integration.kubelet import BUSYBOX, Kubelet
from integration.streaming_client import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

SHIM, CONTAINERD = "shim", "containerd"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--endpoint", choices=(SHIM, CONTAINERD), default=SHIM, help="whose CRI is tested (default: %(default)s)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "shim_only: what containerd's own CRI can't do, or does otherwise")
    config.addinivalue_line("markers", "leaves_traces: no leak check, the test says why")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    usual = config.getoption("timeout", None)
    for item in items:
        marker = item.get_closest_marker("timeout")
        if limit := marker.args[0] if marker else usual:
            item.add_marker(pytest.mark.timeout(patience(limit)), append=False)
    if config.getoption("--endpoint") == CONTAINERD:
        skip = pytest.mark.skip(reason="not a promise of containerd's own CRI")
        for item in items:
            if item.get_closest_marker("shim_only"):
                item.add_marker(skip)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Build what is built once before the tests' time-out can hit it."""
    if session.config.option.collectonly or not session.items:
        return
    try:
        prepare()
    except HarnessError as error:
        pytest.exit(f"no node for the integration tests: {error}", returncode=2)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def endpoint(request: pytest.FixtureRequest) -> str:
    """Whose CRI is tested: `shim` or `containerd`."""
    return str(request.config.getoption("--endpoint"))


@pytest.fixture(scope="session")
def running(endpoint: str) -> Iterator[RunningNode]:
    """The session's node, with the endpoint that is tested."""
    try:
        changes = Changes(systemd_cgroup=this_machine.wanted())
        with running_node(shim=endpoint == SHIM, peer=endpoint == CONTAINERD, changes=changes) as node:
            yield node
    except HarnessError as error:
        pytest.exit(f"no node for the integration tests: {error}", returncode=2)


@pytest.fixture(scope="session")
def containerd(running: RunningNode) -> Containerd:
    """The containerd that is under the tested endpoint."""
    return running.peer or running.containerd


@pytest.fixture
def streaming(running: RunningNode) -> Iterator[None]:
    """Clients of the streaming server connect from inside the node, as the kubelet does."""
    connect.node.netns = f"/proc/{running.node.pid}/ns/net"
    yield
    connect.node.netns = ""


@pytest.fixture
async def channel(running: RunningNode) -> AsyncIterator[Channel]:
    """A connection to the tested endpoint."""
    endpoint = running.shim or running.peer
    assert endpoint
    channel = Channel(path=str(endpoint.socket))
    yield channel
    channel.close()


@pytest.fixture
def runtime(channel: Channel) -> cri.RuntimeServiceStub:
    """CRI's RuntimeService."""
    return cri.RuntimeServiceStub(channel)


@pytest.fixture
def images(channel: Channel) -> cri.ImageServiceStub:
    """CRI's ImageService."""
    return cri.ImageServiceStub(channel)


@pytest.fixture
async def pulled(images: cri.ImageServiceStub) -> None:
    """The images that most tests use are there."""
    for name in (PAUSE, BUSYBOX):
        await images.pull_image(cri.PullImageRequest(image=cri.ImageSpec(image=name)))


@pytest.fixture
async def nothing_left(request: pytest.FixtureRequest, containerd: Containerd, pulled: None) -> AsyncIterator[None]:  # noqa: ARG001
    """The node is as it was when the test has ended."""
    baseline = await Baseline.take(Tracer(containerd))
    yield
    if not request.node.get_closest_marker("leaves_traces") and (left := await baseline.difference()):
        pytest.fail(f"the test left something in the node:\n{left}", pytrace=False)


@pytest.fixture
async def kubelet(
    running: RunningNode,
    runtime: cri.RuntimeServiceStub,
    images: cri.ImageServiceStub,
    nothing_left: None,  # noqa: ARG001
) -> AsyncIterator[Kubelet]:
    """A client that works as the kubelet does; what it has made is removed, and then nothing may be left."""
    parent = "/kubepods.slice/kubepods-besteffort.slice" if this_machine.wanted() else ""
    client = Kubelet(runtime, images, str(running.node.root), cgroup_parent=parent)
    yield client
    await client.remove_all()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the daemons logged last when a test fails."""
    report = yield
    running = getattr(item, "funcargs", {}).get("running")
    if report.failed and isinstance(running, RunningNode):
        for log, end in running.logs().items():
            report.sections.append((log, end))
    return report
