"""Commands end to end on loopback, over each transport in each version: the promises that all of them keep."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.config.settings import StreamingSettings
from integration.streaming_client.spdy import spdy_command
from integration.streaming_client.websocket import websocket_command
from tests.streaming.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.cri.remote_streams import RemoteStreams
    from integration.streaming_client.session import CommandSession
    from tests.streaming.serving import Served

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Way:
    """A transport and a version."""

    transport: str
    protocol: str

    @property
    def has_status(self) -> bool:
        return self.protocol.startswith(("v4", "v5"))

    @property
    def can_end_stdin(self) -> bool:
        return self.transport == "spdy" or self.protocol.startswith("v5")

    @asynccontextmanager
    async def open(self, url: str, **asked: bool) -> AsyncIterator[CommandSession]:
        if self.transport == "spdy":
            async with spdy_command(url, self.protocol, **asked) as command:
                yield command
        else:
            async with websocket_command(url, *([self.protocol] if self.protocol else [])) as command:
                yield command


SPDY = [Way("spdy", f"{version}channel.k8s.io") for version in ("", "v2.", "v3.", "v4.")]
WEBSOCKET = [Way("websocket", f"{version}channel.k8s.io") for version in ("", "v2.", "v3.", "v4.", "v5.")]
BASE64 = [Way("websocket", f"{version}base64.channel.k8s.io") for version in ("", "v4.")]
FEW = [SPDY[-1], WEBSOCKET[-1], BASE64[-1]]
WAYS = [*SPDY, *WEBSOCKET, *BASE64, Way("websocket", "")]


def name(way: Way) -> str:
    return f"{way.transport}-{way.protocol}"


@pytest.fixture(params=WAYS, ids=name)
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


def run(served: Served, command: str, **asked: Any) -> str:
    return served.server.exec(cri.ExecRequest(container_id="c", cmd=[command], **asked))


async def ends_with(session: CommandSession, way: Way, exit_code: int) -> None:
    if way.has_status:
        assert await session.exit_code() == exit_code
    elif exit_code:
        assert f"exit code {exit_code}" in await session.error_text()
    else:
        assert await session.error_text() == ""


async def test_both_outputs_and_the_exit_code_arrive(served: Served, way: Way) -> None:
    async with way.open(run(served, "both", stdout=True, stderr=True)) as session:
        assert await session.read_all() == b"out\x00\xff"
        assert await session.read_all("stderr") == b"err"
        await ends_with(session, way, 7)


async def test_what_goes_in_comes_out_and_stdin_can_end(served: Served, way: Way) -> None:
    async with way.open(run(served, "cat", stdin=True, stdout=True), stdin=True, stderr=False) as session:
        data = bytes(range(256)) * 2000 + b"the end"
        await session.write("stdin", data)
        assert await session.read_until(b"the end") == data
        if way.can_end_stdin:
            await session.end_stdin()
            assert await session.read_all() == b""
            await ends_with(session, way, 0)


async def test_a_failure_to_run_is_told(served: Served, way: Way) -> None:
    async with way.open(run(served, "missing", stdout=True), stderr=False) as session:
        text = await session.error_text()
        assert 'error executing command in container: exec: \\"nowhere\\"' in text or not way.has_status
        assert "no such file" in text


async def test_a_client_that_leaves_ends_stdin_and_not_the_command(served: Served, way: Way) -> None:
    async with way.open(run(served, "cat", stdin=True, stdout=True), stdin=True, stderr=False) as session:
        await session.write("stdin", b"hello")
        assert await session.read_until(b"hello")
        assert not served.runtime.ended
    with anyio.fail_after(20):
        while served.runtime.ended != ["cat"]:  # noqa: ASYNC110
            await anyio.sleep(0.01)


@pytest.mark.parametrize("way", FEW, ids=name)
async def test_a_client_that_does_not_read_holds_up_its_command_and_nothing_else(served: Served, way: Way) -> None:
    sent = 0

    async def endless(streams: RemoteStreams) -> int:
        nonlocal sent
        assert streams.stdout
        while True:
            await streams.stdout.send(bytes(100_000))
            sent += 100_000

    served.runtime.commands["yes"] = endless
    async with way.open(run(served, "yes", stdout=True), stderr=False):
        before = -1
        while sent == 0 or sent != before:  # until it waits: both sockets' buffers are full
            before = sent
            await anyio.sleep(0.2)
        async with way.open(run(served, "both", stdout=True, stderr=True)) as other:
            await ends_with(other, way, 7)
    assert sent < 64 << 20


@pytest.mark.parametrize("way", FEW, ids=name)
async def test_a_command_that_does_not_read_holds_up_its_client(served: Served, way: Way) -> None:
    released = anyio.Event()

    async def deaf(streams: RemoteStreams) -> int:
        await released.wait()
        assert streams.stdin
        await streams.stdin.receive()
        return 5

    served.runtime.commands["deaf"] = deaf
    async with way.open(run(served, "deaf", stdin=True, stdout=True), stdin=True, stderr=False) as session:
        sent = 0
        with anyio.move_on_after(1) as waiting:
            while sent < 64 << 20:
                await session.write("stdin", bytes(30_000))
                sent += 30_000
        assert waiting.cancelled_caught, f"{sent} bytes were taken, and nobody wanted them"
        released.set()
        await ends_with(session, way, 5)  # and the end gets through to a client whose own bytes are stuck


@pytest.mark.parametrize("way", [*SPDY[2:], *WEBSOCKET, *BASE64], ids=name)
async def test_a_terminal_s_sizes_arrive_and_the_last_one_counts(served: Served, way: Way) -> None:
    url = run(served, "sizes", stdout=True, tty=True)
    async with way.open(url, stderr=False, tty=True) as session:
        await session.resize(80, 24)
        assert await session.read_until(b"\n") == b"80x24\n"
        for width in range(200, 0, -1):
            await session.resize(width, 2)
        assert (await session.read_all()).endswith(b"1x2\n")
        await ends_with(session, way, 0)


async def test_attaching_ends_with_success(served: Served, way: Way) -> None:
    url = served.server.attach(cri.AttachRequest(container_id="both", stdout=True, stderr=True))
    async with way.open(url) as session:
        assert await session.read_all() == b"out\x00\xff"
        await ends_with(session, way, 0)


@pytest.mark.parametrize("way", FEW, ids=name)
async def test_a_bug_is_told_as_a_failure_and_the_server_lives(served: Served, way: Way) -> None:
    async with way.open(run(served, "bug", stdout=True), stderr=False) as session:
        assert "a bug" in await session.error_text()
    async with way.open(run(served, "both", stdout=True, stderr=True)) as session:
        await ends_with(session, way, 7)


async def test_a_failed_attach_is_told_by_its_reason(served: Served, way: Way) -> None:
    url = served.server.attach(cri.AttachRequest(container_id="missing", stdout=True))
    async with way.open(url, stderr=False) as session:
        text = await session.error_text()
        assert "no such file" in text
        assert "TaskGroup" not in text


@pytest.mark.parametrize("way", FEW, ids=name)
async def test_a_client_is_told_when_the_server_ends(way: Way) -> None:
    async with AsyncExitStack() as server:
        served = await server.enter_async_context(serving(StreamingSettings()))
        url = run(served, "cat", stdin=True, stdout=True)
        async with way.open(url, stdin=True, stderr=False) as session:
            await session.write("stdin", b"hello")
            assert await session.read_until(b"hello")
            served.stop()
            assert "shutting down" in await session.error_text()
