"""Exec as clients speak it: every protocol, with and without terminal, stdin and a good end."""

from __future__ import annotations

import hashlib
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from cri_shim.api.runtime import v1 as cri
from integration.kubelet import Kubelet, eventually
from integration.streaming_client.session import STDERR, STDIN, STDOUT, CommandSession
from integration.streaming_client.spdy import spdy_command
from integration.streaming_client.websocket import websocket_command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from integration.harness.assembly import RunningNode

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("streaming")]

SPDY = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io")
WEBSOCKET = ("v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io")


@asynccontextmanager
async def session(
    kubelet: Kubelet,
    container: str,
    *command: str,
    protocol: str = SPDY[0],
    websocket: bool = False,
    stdin: bool = False,
    tty: bool = False,
    stdout: bool = True,
) -> AsyncIterator[CommandSession]:
    """A command's session; what hangs fails."""
    request = cri.ExecRequest(
        container_id=container, cmd=list(command), tty=tty, stdin=stdin, stdout=stdout, stderr=not tty
    )
    url = (await kubelet.runtime.exec(request)).url
    with anyio.fail_after(60):
        if websocket:
            async with websocket_command(url, protocol) as over_websocket:
                yield over_websocket
        else:
            async with spdy_command(url, protocol, stdin=stdin, stdout=stdout, stderr=not tty, tty=tty) as over_spdy:
                yield over_spdy


async def said(command: CommandSession) -> dict[str, bytes]:
    """All that comes on both outputs."""
    found: dict[str, bytes] = {}

    async def read(stream: str) -> None:
        found[stream] = await command.read_all(stream)

    async with anyio.create_task_group() as tasks:
        for stream in {STDOUT, STDERR} & set(command.inboxes):
            tasks.start_soon(read, stream)
    return found


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


async def matrix(kubelet: Kubelet, container: str, protocol: str, *, websocket: bool) -> None:
    """Outputs, exit codes, input and a terminal over one protocol."""
    script = "printf 'out\\000put'; printf errors >&2; exit 42"
    async with session(kubelet, container, "sh", "-c", script, protocol=protocol, websocket=websocket) as command:
        assert await said(command) == {STDOUT: b"out\0put", STDERR: b"errors"}
        if protocol.startswith(("v4", "v5")):
            assert await command.exit_code() == 42
        else:
            assert "exit code 42" in await command.error_text()
    async with session(kubelet, container, "true", protocol=protocol, websocket=websocket) as command:
        assert await said(command) == {STDOUT: b"", STDERR: b""}
        assert "Success" in (error := await command.error_text()) or error == ""
    head = ("sh", "-c", "head -c 4 >&2")
    async with session(kubelet, container, *head, protocol=protocol, websocket=websocket, stdin=True) as command:
        await command.write(STDIN, b"\0\xff\n\r")
        assert await said(command) == {STDOUT: b"", STDERR: b"\0\xff\n\r"}
    if not websocket or protocol.startswith("v5"):
        async with session(kubelet, container, "cat", protocol=protocol, websocket=websocket, stdin=True) as command:
            await command.write(STDIN, b"to the end")
            await command.end_stdin()
            assert (await said(command))[STDOUT] == b"to the end"
    sized = websocket or protocol.startswith(("v3", "v4"))
    wait = "until [ \"$(stty size)\" = '45 123' ]; do sleep 0.02; done; " if sized else ""
    shell = ("sh", "-c", f"read x; {wait}tty; echo $TERM; exit 7")
    async with session(kubelet, container, *shell, protocol=protocol, websocket=websocket, stdin=True, tty=True) as it:
        if sized:
            await it.resize(123, 45)
        await it.write(STDIN, b"go\n")
        answer = await it.read_all(STDOUT)
        assert b"/dev/pts/" in answer
        assert b"xterm" in answer


async def test_every_spdy_version_carries_commands(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    for protocol in SPDY:
        await matrix(kubelet, container, protocol, websocket=False)


@pytest.mark.shim_only  # containerd's own doesn't speak v5, and its resizing over WebSocket isn't relied on
async def test_every_websocket_version_carries_commands(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    for protocol in WEBSOCKET:
        await matrix(kubelet, container, protocol, websocket=True)


async def test_a_hundred_mebibytes_go_in_and_come_back_as_they_were(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod())
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
