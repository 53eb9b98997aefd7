"""Exec as clients speak it: every protocol, with and without terminal, stdin and a good end."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from cri_shim.api.runtime import v1 as cri
from integration.exec_sessions import SPDY, WEBSOCKET, Spoken, carries_commands, session
from integration.kubelet import Kubelet, eventually
from integration.streaming_client.session import STDIN, STDOUT

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("streaming")]


async def refusal(kubelet: Kubelet, **fields: object) -> GRPCError:
    with pytest.raises(GRPCError) as caught:
        await kubelet.runtime.exec(cri.ExecRequest(**fields))  # type: ignore[arg-type]
    return caught.value


async def test_what_can_not_be_is_refused_before_a_url_is_given(kubelet: Kubelet, endpoint: str) -> None:
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod)
    both = await refusal(kubelet, container_id=container, cmd=["true"], tty=True, stdout=True, stderr=True)
    assert (both.status, "tty and stderr" in (both.message or "")) == (Status.INVALID_ARGUMENT, True)
    none = await refusal(kubelet, container_id=container, cmd=["true"])
    assert (none.status, "stdin, stdout, or stderr" in (none.message or "")) == (Status.INVALID_ARGUMENT, True)
    assert (await refusal(kubelet, container_id="nobody", cmd=["true"], stdout=True)).status is Status.NOT_FOUND
    created = await kubelet.create(pod, kubelet.container_config(name="created"))
    waiting = await refusal(kubelet, container_id=created, cmd=["true"], stdout=True)
    assert (waiting.status, "CONTAINER_CREATED" in (waiting.message or "")) == (Status.UNKNOWN, True)
    if endpoint == "shim":  # improvement: there it is found out by the runtime
        assert (await refusal(kubelet, container_id=container, stdout=True)).status is Status.INVALID_ARGUMENT


@pytest.mark.parametrize("spoken", SPDY, ids=str)
async def test_every_spdy_version_carries_commands(kubelet: Kubelet, spoken: Spoken) -> None:
    await carries_commands(kubelet, await kubelet.run(await kubelet.run_pod()), spoken)


@pytest.mark.shim_only  # containerd refuses WebSocket
@pytest.mark.parametrize("spoken", WEBSOCKET, ids=str)
async def test_every_websocket_version_carries_commands(kubelet: Kubelet, spoken: Spoken) -> None:
    await carries_commands(kubelet, await kubelet.run(await kubelet.run_pod()), spoken)


async def test_a_hundred_mebibytes_go_in_and_come_back_as_they_were_through_little_memory(
    kubelet: Kubelet, running: RunningNode
) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    server = running.shim or running.peer
    assert server
    before = peak_mebibytes(server.daemon.pid)
    piece, count = os.urandom(1 << 20), 100
    sent, received = hashlib.sha256(), hashlib.sha256()
    async with session(kubelet, container, "cat", stdin=True) as command, anyio.create_task_group() as tasks:

        async def send() -> None:
            for _ in range(count):
                sent.update(piece)
                await command.write(STDIN, piece)
            await command.end_stdin()

        tasks.start_soon(send)
        while data := await command.read(STDOUT):
            received.update(data)
        assert await command.exit_code() == 0
    assert received.digest() == sent.digest()
    assert peak_mebibytes(server.daemon.pid) - before < 32


def peak_mebibytes(pid: int) -> float:
    """The most memory a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (kilobytes,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return kilobytes / 1024


@pytest.mark.shim_only  # containerd waits without a bound, unless told otherwise, and the command stops half-way
async def test_a_client_that_leaves_ends_its_input_and_the_command_finishes(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    script = "echo begun; cat >/dev/null; head -c 5000000 /dev/zero; touch /tmp/finished"
    async with session(kubelet, container, "sh", "-c", script, stdin=True) as command:
        await command.read_until(b"begun")

    async def finished() -> bool | None:
        return (await kubelet.exec(container, "test", "-e", "/tmp/finished")).exit_code == 0 or None

    assert await eventually(finished, 30)


async def test_a_session_ends_with_its_container(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    async with session(kubelet, container, "sh", "-c", "echo begun; sleep 3000", stdin=True) as command:
        await command.read_until(b"begun")
        await kubelet.stop(container)
        assert (await command.status())["status"] == "Failure"


async def test_a_command_that_can_not_be_run_is_an_error_of_the_session(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    async with session(kubelet, container, "no-such-command", stdin=True) as command:
        status = await command.status()
    assert (status["status"], status["reason"]) == ("Failure", "InternalError")
    assert "no-such-command" in status["message"]


@pytest.mark.shim_only
async def test_what_a_killed_server_leaves_of_a_session_is_swept(kubelet: Kubelet, running: RunningNode) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    assert running.shim is not None
    async with session(kubelet, container, "sh", "-c", "echo begun; cat; sleep 1", stdin=True) as command:
        await command.read_until(b"begun")
        await anyio.to_thread.run_sync(running.shim.daemon.kill)
        assert await command.error_text() == ""
    await anyio.to_thread.run_sync(running.shim.daemon.start)
    assert (await kubelet.exec(container, "true")).exit_code == 0
