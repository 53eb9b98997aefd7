"""Commands over SPDY, end to end on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cri_shim.api.runtime import v1 as cri
from integration.streaming_client.spdy import spdy_command

if TYPE_CHECKING:
    from tests.streaming.serving import Served

pytestmark = pytest.mark.anyio


async def test_what_goes_in_comes_out(served: Served) -> None:
    url = served.server.exec(cri.ExecRequest(container_id="c", cmd=["cat"], stdin=True, stdout=True))
    async with spdy_command(url, stdin=True, stderr=False) as command:
        await command.write("stdin", b"hello")
        assert await command.read_until(b"hello") == b"hello"
        await command.end_stdin()
        assert await command.read_all() == b""
        assert await command.exit_code() == 0


async def test_both_outputs_and_the_exit_code_arrive(served: Served) -> None:
    url = served.server.exec(cri.ExecRequest(container_id="c", cmd=["both"], stdout=True, stderr=True))
    async with spdy_command(url) as command:
        assert await command.read_all() == b"out\x00\xff"
        assert await command.read_all("stderr") == b"err"
        assert await command.exit_code() == 7
