"""One server for each state directory."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cri_shim.errors import AlreadyExists
from cri_shim.state.sole import sole_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

HOLD = """
import sys, anyio
from cri_shim.state.sole import sole_server
async def main():
    async with sole_server(sys.argv[1]):
        print("held", flush=True)
        await anyio.sleep_forever()
anyio.run(main)
"""


async def test_a_second_server_is_refused_by_the_pid_of_the_first(tmp_path: Path) -> None:
    async with sole_server(str(tmp_path)):
        with pytest.raises(AlreadyExists, match=rf"another cri-shim \(pid {os.getpid()}\) serves from {tmp_path}"):
            async with sole_server(str(tmp_path)):
                pass
    async with sole_server(str(tmp_path)):
        pass


async def test_a_killed_server_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as first:  # noqa: ASYNC220
        assert first.stdout
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyExists, match=f"pid {first.pid}"):
            async with sole_server(str(tmp_path)):
                pass
        first.kill()
    async with sole_server(str(tmp_path)):
        assert (tmp_path / "cri-shim.lock").read_text() == f"{os.getpid()}\n"
