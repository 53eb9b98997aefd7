"""Attach: clients at a container's main process, beside its log and beside each other."""

from __future__ import annotations

import hashlib
import os
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

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

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("streaming")]

ECHO = ("sh", "-c", "while read line; do echo got $line; echo erred $line >&2; done; echo ended; sleep 100000")


@asynccontextmanager
async def attached(
    kubelet: Kubelet, container: str, *, stdin: bool = True, tty: bool = False, websocket: bool = False
) -> AsyncIterator[CommandSession]:
    """A client's session; what hangs fails."""
    request = cri.AttachRequest(container_id=container, tty=tty, stdin=stdin, stdout=True, stderr=not tty)
    url = (await kubelet.runtime.attach(request)).url
    with anyio.fail_after(60):
        if websocket:
            async with websocket_command(url, "v5.channel.k8s.io") as over_websocket:
                yield over_websocket
        else:
            async with spdy_command(url, stdin=stdin, tty=tty) as over_spdy:
                yield over_spdy


async def run(kubelet: Kubelet, *command: str, **fields: Any) -> str:
    """A container of its own that runs `command`; it has a standard input."""
    config = kubelet.container_config(command, stdin=True, **fields)
    return await kubelet.run(await kubelet.run_pod(), config)


async def in_effect(speaker: CommandSession, *clients: CommandSession) -> None:
    """Have the container answer until each client has heard it: from then on, none misses anything."""
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            while True:
                await speaker.write(STDIN, b"you there\n")
                await anyio.sleep(0.05)

        tasks.start_soon(ask)
        for client in clients:
            await client.read_until(b"got you there\n")
        tasks.cancel_scope.cancel()


async def test_only_a_running_container_can_be_attached_to(kubelet: Kubelet) -> None:
    container = await kubelet.create(await kubelet.run_pod())

    async def refusal(container: str, *, tty: bool = False) -> GRPCError:
        request = cri.AttachRequest(container_id=container, stdout=True, stderr=True, tty=tty)
        with pytest.raises(GRPCError) as caught:
            await kubelet.runtime.attach(request)
        return caught.value

    assert (await refusal("nobody")).status is Status.NOT_FOUND
    created = await refusal(container)
    assert (created.status, "CONTAINER_CREATED" in (created.message or "")) == (Status.UNKNOWN, True)
    await kubelet.start(container)
    assert (await refusal(container, tty=True)).status is Status.INVALID_ARGUMENT


async def test_every_client_hears_the_outputs_and_any_may_speak(kubelet: Kubelet) -> None:
    container = await run(kubelet, *ECHO)
    async with attached(kubelet, container) as one, attached(kubelet, container, stdin=False) as other:
        await in_effect(one, one, other)
        await one.write(STDIN, b"hello\n")
        for client in (one, other):
            await client.read_until(b"got hello\n")
            await client.read_until(b"erred hello\n", STDERR)
    async with attached(kubelet, container) as again:  # they left, and the container runs on
        await again.write(STDIN, b"there\n")
        await again.read_until(b"got there\n")
    assert (await kubelet.status(container)).state == cri.ContainerState.CONTAINER_RUNNING
    said = sorted(line.split(" ", 1)[1] for line in await kubelet.log(container) if not line.endswith("you there"))
    expected = [
        f"{stream} F {verb} {word}"
        for stream, verb in (("stdout", "got"), ("stderr", "erred"))
        for word in ("hello", "there")
    ]
    assert said == sorted(expected)


@pytest.mark.shim_only  # containerd refuses v5
async def test_attaching_over_websocket_is_the_same(kubelet: Kubelet) -> None:
    container = await run(kubelet, *ECHO)
    async with attached(kubelet, container, websocket=True) as client:
        await client.write(STDIN, b"hello\n")
        await client.read_until(b"got hello\n")
        await kubelet.stop(container)
        assert (await client.status())["status"] == "Success"


async def test_the_first_end_of_input_is_the_containers_where_stdin_is_once(kubelet: Kubelet) -> None:
    container = await run(kubelet, *ECHO, stdin_once=True)
    async with attached(kubelet, container) as client:
        await client.write(STDIN, b"hello\n")
        await client.end_stdin()
        await client.read_until(b"ended\n")
        await kubelet.stop(container)
        assert (await client.status())["status"] == "Success"


async def test_a_client_that_goes_away_ends_the_input_where_stdin_is_once(kubelet: Kubelet) -> None:
    container = await run(kubelet, *ECHO, stdin_once=True)
    async with attached(kubelet, container) as client:
        await client.write(STDIN, b"hello\n")
        await client.read_until(b"got hello\n")

    async def ended() -> bool | None:
        return any(line.endswith("F ended") for line in await kubelet.log(container)) or None

    assert await eventually(ended)


async def test_the_end_of_input_detaches_otherwise(kubelet: Kubelet) -> None:
    container = await run(kubelet, *ECHO)
    async with attached(kubelet, container) as client:
        await client.write(STDIN, b"hello\n")
        await client.read_until(b"got hello\n")
        await client.end_stdin()
        assert (await client.status())["status"] == "Success"
    assert not any("ended" in line for line in await kubelet.log(container))


async def test_a_terminal_is_resized_and_echoes(kubelet: Kubelet) -> None:
    script = "read line; until [ \"$(stty size)\" = '37 91' ]; do sleep 0.02; done; stty size; cat"
    container = await run(kubelet, "sh", "-c", script, tty=True)
    async with attached(kubelet, container, tty=True) as client:
        await client.resize(91, 37)
        await client.write(STDIN, b"how big\n")
        assert b"how big" in await client.read_until(b"37 91\r\n")
    lines = [line.split(" ", 3)[1:] for line in await kubelet.log(container)]
    assert lines == [["stdout", "F", "how big"], ["stdout", "F", "37 91"]]


async def test_what_goes_through_an_attached_container_comes_back_as_it_was(kubelet: Kubelet) -> None:
    container = await run(kubelet, "cat", stdin_once=True, log_path="")
    piece, count = os.urandom(1 << 20), 30
    received = hashlib.sha256()
    async with attached(kubelet, container) as client, anyio.create_task_group() as tasks:

        async def send() -> None:
            for _ in range(count):
                await client.write(STDIN, piece)
            await client.end_stdin()

        tasks.start_soon(send)
        while data := await client.read(STDOUT):
            received.update(data)
    assert received.digest() == hashlib.sha256(piece * count).digest()


@pytest.mark.shim_only  # in containerd, it holds up the container, its log, and the other clients
async def test_a_client_that_does_not_read_holds_up_nobody(kubelet: Kubelet) -> None:
    answering = """while read x && [ "$x" != go ]; do echo got $x; done"""
    flooding = "head -c 60000000 /dev/zero | tr '\\0' 'x' | fold -w 1000; echo; echo done"
    script = f"{answering}; {flooding}"
    container = await run(kubelet, "sh", "-c", script)
    async with AsyncExitStack() as clients:
        stuck = await clients.enter_async_context(attached(kubelet, container, stdin=False))
        speaker = await clients.enter_async_context(attached(kubelet, container))
        await in_effect(speaker, stuck)
        await speaker.write(STDIN, b"go\n")
        status = await kubelet.exited(container, 60)
        assert status.exit_code == 0
        log = await kubelet.log(container)
        assert (len([line for line in log if line.endswith("x" * 1000)]), log[-1][-6:]) == (60_000, "F done")
        await stuck.read_all(STDOUT)
        assert "attach again" in (await stuck.status())["message"]
