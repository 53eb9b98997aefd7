"""Exec and Attach: commands with their streams, over SPDY and over WebSocket."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument, NotFound
from cri_shim.smoke.check import Capability, Failed
from cri_shim.smoke.expect import equal, refused, that
from cri_shim.smoke.streams.command import SPDY_V4, STDERR, V4, V5, Command, command
from cri_shim.smoke.streams.upgrade import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.smoke.subject import Subject

streams = Capability("streams")
_ECHO = "while read -r line; do echo got $line; done"
_SIZE = "stty size; read -r x; stty size"


async def _exec_url(s: Subject, container: str, *argv: str, stdin: bool = False, tty: bool = False) -> str:
    request = cri.ExecRequest(container_id=container, cmd=list(argv), stdin=stdin, tty=tty, stdout=True, stderr=not tty)
    return (await s.runtime.exec(request)).url


@asynccontextmanager
async def _exec(
    s: Subject, *argv: str, protocol: str = SPDY_V4, stdin: bool = False, tty: bool = False
) -> AsyncIterator[Command]:
    """A command in the shared container."""
    url = await _exec_url(s, await s.shared_container(), *argv, stdin=stdin, tty=tty)
    async with command(s.place, url, protocol, stdin=stdin, tty=tty) as session:
        yield session


@asynccontextmanager
async def _attach(
    s: Subject, container: str, *, protocol: str = SPDY_V4, stdin: bool = False, tty: bool = False
) -> AsyncIterator[Command]:
    request = cri.AttachRequest(container_id=container, stdin=stdin, tty=tty, stdout=True, stderr=not tty)
    url = (await s.runtime.attach(request)).url
    async with command(s.place, url, protocol, stdin=stdin, tty=tty) as session:
        yield session


async def _outputs(s: Subject, protocol: str) -> None:
    async with _exec(s, "sh", "-c", "printf 'o\\000ut'; printf err >&2; exit 42", protocol=protocol) as session:
        equal("both outputs", (b"o\0ut", b"err"), await session.outputs())
        equal("the exit code", 42, await session.exit_code())


async def _resized(session: Command) -> None:
    await session.resize(123, 45)
    await anyio.sleep(0.2)  # sizes and input come on streams of their own
    await session.write(b"go\n")
    await session.read_until(b"45 123")


@streams.check
async def exec_over_spdy(s: Subject) -> None:
    """Over SPDY, as kubelets speak it, both outputs and the exit code of a command come back."""
    await _outputs(s, SPDY_V4)


@streams.check
async def exec_over_websocket_v5(s: Subject) -> None:
    """The same over WebSocket's v5.channel.k8s.io."""
    await _outputs(s, V5)


@streams.check
async def exec_over_websocket_v4(s: Subject) -> None:
    """The same over WebSocket's v4.channel.k8s.io."""
    await _outputs(s, V4)


@streams.check
async def exec_of_success(s: Subject) -> None:
    """A command that succeeds is told of as success."""
    async with _exec(s, "sh", "-c", "exit 0") as session:
        equal("no output", (b"", b""), await session.outputs())
        equal("the exit code", 0, await session.exit_code())


@streams.check
async def exec_of_a_missing_command_fails(s: Subject) -> None:
    """A command that is not in the image is a failure that the client is told of."""
    async with _exec(s, "/no/such/command") as session:
        text = await session.failure()
    that("/no/such/command" in text, "a failure that names the command", text)


async def _input(s: Subject, protocol: str) -> None:
    async with _exec(s, "cat", protocol=protocol, stdin=True) as session:
        await session.write(b"to the end")
        await session.end_stdin()
        equal("what was written", b"to the end", await session.read_all())
        equal("the exit code", 0, await session.exit_code())


@streams.check
async def exec_with_input_over_spdy(s: Subject) -> None:
    """A command reads what the client sends, to its end."""
    await _input(s, SPDY_V4)


@streams.check
async def exec_with_input_over_websocket(s: Subject) -> None:
    """The same over WebSocket's v5, which can tell of the end."""
    await _input(s, V5)


@streams.check
async def exec_carries_megabytes_both_ways(s: Subject) -> None:
    """Four mebibytes that go in at one end come out at the other as they were."""
    data = os.urandom(4 << 20)
    async with _exec(s, "cat", stdin=True) as session, anyio.create_task_group() as tasks:

        async def send() -> None:
            await session.write(data)
            await session.end_stdin()

        tasks.start_soon(send)
        came = await session.read_all()
    that(came == data, "the bytes that were sent", f"{len(came)} bytes, {came[:40]!r}…")


@streams.check
async def exec_with_a_terminal(s: Subject) -> None:
    """A command with a terminal has one on all descriptors, and follows its client's size."""
    await s.needs("stty")
    script = f"test -t 0 && test -t 1 && test -t 2 && echo terminal; {_SIZE}"
    async with _exec(s, "sh", "-c", script, stdin=True, tty=True) as session:
        await session.read_until(b"terminal")
        await _resized(session)


@streams.check
async def exec_with_a_terminal_over_websocket(s: Subject) -> None:
    """The same over WebSocket's v5."""
    await s.needs("stty")
    async with _exec(s, "sh", "-c", f"echo here; {_SIZE}", protocol=V5, stdin=True, tty=True) as session:
        await session.read_until(b"here")
        await _resized(session)


@streams.check
async def exec_url_is_good_once(s: Subject) -> None:
    """The URL of a session is good for one client."""
    url = await _exec_url(s, await s.shared_container(), "sh", "-c", "exit 0")
    async with command(s.place, url) as session:
        await session.exit_code()
    try:
        async with command(s.place, url):
            raise Failed("the second use of a URL to be refused", "a session")
    except Refused as refusal:
        that(refusal.status in (401, 403, 404), "HTTP 404", refusal)


@streams.check
async def exec_requests_that_can_not_be_are_refused(s: Subject) -> None:
    """A terminal with a stderr of its own, and no stream at all, are InvalidArgument."""
    container = await s.shared_container()
    both = cri.ExecRequest(container_id=container, cmd=["true"], tty=True, stdout=True, stderr=True)
    await refused(s.runtime.exec(both), "tty and stderr", InvalidArgument)
    await refused(s.runtime.exec(cri.ExecRequest(container_id=container, cmd=["true"])), "no stream", InvalidArgument)


@streams.check
async def missing_container_is_not_found(s: Subject) -> None:
    """Exec and Attach of a container that is not there are NotFound."""
    execute = cri.ExecRequest(container_id="f" * 64, cmd=["true"], stdout=True)
    await refused(s.runtime.exec(execute), "a container that there is not", NotFound)
    attach = cri.AttachRequest(container_id="f" * 64, stdout=True)
    await refused(s.runtime.attach(attach), "a container that there is not", NotFound)


@streams.check
async def attach_shows_what_is_said(s: Subject) -> None:
    """An attached client gets both outputs of the container, apart."""
    script = "while :; do echo out; echo err >&2; sleep 0.1; done"
    container = await s.run(s.container_config(["sh", "-c", script]))
    async with _attach(s, container) as session:
        await session.read_until(b"out\n")
        await session.read_until(b"err\n", STDERR)


@streams.check
async def attach_carries_input(s: Subject) -> None:
    """An attached client's input is the container's."""
    container = await s.run(s.container_config(["sh", "-c", _ECHO], stdin=True))
    async with _attach(s, container, stdin=True) as session:
        await session.write(b"hello\n")
        await session.read_until(b"got hello\n")


@streams.check
async def attach_over_websocket(s: Subject) -> None:
    """The same over WebSocket's v5."""
    container = await s.run(s.container_config(["sh", "-c", _ECHO], stdin=True))
    async with _attach(s, container, protocol=V5, stdin=True) as session:
        await session.write(b"hello\n")
        await session.read_until(b"got hello\n")


@streams.check
async def attach_to_a_terminal(s: Subject) -> None:
    """An attached client's terminal is the container's, its size included."""
    await s.needs("stty")
    container = await s.run(s.container_config(["sh", "-c", f"read -r x; echo here; {_SIZE}"], stdin=True, tty=True))
    async with _attach(s, container, stdin=True, tty=True) as session:
        await session.write(b"begin\n")
        await session.read_until(b"here")
        await _resized(session)


@streams.check
async def input_ends_with_the_first_client(s: Subject) -> None:
    """With stdin_once, the end of the client's input is the end of the container's."""
    config = s.container_config(["sh", "-c", "cat; echo over"], stdin=True, stdin_once=True)
    container = await s.run(config)
    async with _attach(s, container, stdin=True) as session:
        await session.write(b"line\n")
        await session.end_stdin()
        await session.read_until(b"line\nover\n")
    await s.exited(container)


@streams.check
async def attach_ends_with_the_container(s: Subject) -> None:
    """When the container ends, so does an attached client's session."""
    container = await s.run(s.container_config(["sh", "-c", "read -r x; echo bye; sleep 0.5"], stdin=True))
    async with _attach(s, container, stdin=True) as session:
        await session.write(b"go\n")
        equal("the rest of the output", b"bye\n", await session.read_all())
