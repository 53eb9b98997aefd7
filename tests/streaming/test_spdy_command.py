"""What only SPDY has: streams that are opened one by one, in whatever order and number a client likes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.streaming.spdy.faults import GoAwayStatus
from cri_shim.streaming.spdy.frames import Settings, WindowUpdate
from integration.streaming_client.spdy import SpdyCommand, spdy_client, spdy_command

if TYPE_CHECKING:
    from tests.streaming.serving import Served

pytestmark = pytest.mark.anyio

V4 = "v4.channel.k8s.io"


async def test_streams_come_in_any_order_and_strange_ones_are_taken_and_forgotten(served: Served) -> None:
    url = served.server.exec(cri.ExecRequest(container_id="c", cmd=["cat"], stdin=True, stdout=True))
    async with spdy_client(url, V4) as (client, protocol):
        command = SpdyCommand(client, protocol)
        await command.open("stdout", "strange", "stdin")
        await command.write("strange", b"x" * 1_000_000)
        await command.write("stdout", b"x" * 1_000_000)
        await command.open("error")
        await command.write("stdin", b"in")
        await command.end_stdin()
        assert await command.read_all() == b"in"
        assert await command.exit_code() == 0


async def test_nothing_runs_before_all_streams_are_there(served: Served) -> None:
    url = served.server.exec(cri.ExecRequest(container_id="c", cmd=["cat"], stdin=True, stdout=True))
    async with spdy_client(url, V4) as (client, protocol):
        await SpdyCommand(client, protocol).open("error", "stdin")
    async with spdy_command(served.server.exec(cri.ExecRequest(cmd=["both"], stdout=True, stderr=True))) as other:
        assert await other.exit_code() == 7
    assert served.runtime.ended == ["both"]


async def test_the_session_ends_with_goaway_and_stdin_reset(served: Served) -> None:
    url = served.server.exec(cri.ExecRequest(container_id="c", cmd=["deaf"], stdin=True, stdout=True))
    async with spdy_command(url, stdin=True, stderr=False) as command:
        assert len(await command.read_all()) == 1 << 20
        assert await command.exit_code() == 3
        with anyio.fail_after(20):
            await command.client.gone.wait()
        assert command.client.gone_away
        assert command.client.gone_away.status == GoAwayStatus.OK
        assert command.streams["stdin"].reset_status is not None
        assert command.streams["stdout"].reset_status is None


async def test_a_client_that_breaks_the_protocol_is_told_and_left(served: Served) -> None:
    url = served.server.exec(cri.ExecRequest(container_id="c", cmd=["cat"], stdin=True, stdout=True))
    async with spdy_command(url, stdin=True, stderr=False) as command:
        await command.client.transport.send(b"\x80\x02\x00\x01" + bytes(4))  # SPDY/2
        with anyio.fail_after(20):
            await command.client.gone.wait()
        assert command.client.gone_away
        assert command.client.gone_away.status == GoAwayStatus.PROTOCOL_ERROR


async def test_a_client_that_leaves_with_its_window_closed_is_not_waited_for(served: Served) -> None:
    url = served.server.exec(cri.ExecRequest(container_id="c", cmd=["deaf"], stdout=True))
    async with spdy_command(url, stderr=False) as command:
        await command.client.send(Settings(((7, 100),)))
        await command.client.send(WindowUpdate(0, 1 << 20))
        assert await command.read()
    with anyio.fail_after(20):
        while served.runtime.ended != ["deaf"]:  # noqa: ASYNC110
            await anyio.sleep(0.01)
