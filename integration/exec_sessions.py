"""Exec as clients speak it: a session in any protocol, and the matrix that each of them has to carry.

Each protocol, over what carries it, with and without terminal, with and without stdin, to a good and to a bad end.
"""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import anyio

from cri_shim.api.runtime import v1 as cri
from integration.streaming_client.session import STDERR, STDIN, STDOUT, CommandSession
from integration.streaming_client.spdy import spdy_command
from integration.streaming_client.websocket import websocket_command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from integration.kubelet import Kubelet

BYTES = b"\0\xff\n\r"
BAD = 42


@dataclass(frozen=True)
class Spoken:
    """A protocol, and what a client may expect of every server that speaks it."""

    protocol: str
    websocket: bool = False
    tells: Literal["status", "text", ""] = "status"  # how a command ended; text: only of a bad end
    resizes: bool = True
    stdin: bool = True
    ends_stdin: bool = True

    def __str__(self) -> str:
        return f"{'websocket' if self.websocket else 'spdy'} {self.protocol or 'unnamed'}"


SPDY = (
    Spoken("v4.channel.k8s.io"),
    Spoken("v3.channel.k8s.io", tells="text"),
    Spoken("v2.channel.k8s.io", tells="text", resizes=False),
    # containerd closes stdin and resets the error stream of the first one as soon as all streams are there
    Spoken("channel.k8s.io", tells="", resizes=False, stdin=False),
)
WEBSOCKET = (
    Spoken("v5.channel.k8s.io", websocket=True),
    Spoken("v4.channel.k8s.io", websocket=True, ends_stdin=False),
    Spoken("v3.channel.k8s.io", websocket=True, ends_stdin=False, tells="text"),
    Spoken("v2.channel.k8s.io", websocket=True, ends_stdin=False, tells="text"),
    Spoken("channel.k8s.io", websocket=True, ends_stdin=False, tells="text"),
    Spoken("", websocket=True, ends_stdin=False, tells="text"),
    Spoken("v4.base64.channel.k8s.io", websocket=True, ends_stdin=False),
    Spoken("base64.channel.k8s.io", websocket=True, ends_stdin=False, tells="text"),
)


@asynccontextmanager
async def session(
    kubelet: Kubelet,
    container: str,
    *command: str,
    spoken: Spoken = SPDY[0],
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
        if spoken.websocket:
            async with websocket_command(url, *filter(None, [spoken.protocol])) as over_websocket:
                yield over_websocket
        else:
            async with spdy_command(
                url, spoken.protocol, stdin=stdin, stdout=stdout, stderr=not tty, tty=tty
            ) as over_spdy:
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


async def carries_commands(kubelet: Kubelet, container: str, spoken: Spoken) -> None:
    """Go through the matrix in one protocol."""
    for tty, stdin, code in itertools.product((False, True), (False, True), (0, BAD)):
        if spoken.stdin or not stdin:
            await (_terminal if tty else _pipes)(kubelet, container, spoken, stdin=stdin, code=code)


async def _pipes(kubelet: Kubelet, container: str, spoken: Spoken, *, stdin: bool, code: int) -> None:
    source = "printf 'out\\000put'" if not stdin else "cat" if spoken.ends_stdin else f"head -c {len(BYTES)}"
    script = f"{source}; printf 'err\\377ors' >&2; exit {code}"
    async with session(kubelet, container, "sh", "-c", script, spoken=spoken, stdin=stdin) as command:
        if stdin:
            await command.write(STDIN, BYTES)
            if spoken.ends_stdin:
                await command.end_stdin()
        assert await said(command) == {STDOUT: BYTES if stdin else b"out\0put", STDERR: b"err\xffors"}
        await _ended(command, spoken, code)


async def _terminal(kubelet: Kubelet, container: str, spoken: Spoken, *, stdin: bool, code: int) -> None:
    sized = "until [ \"$(stty size)\" = '45 123' ]; do sleep 0.02; done; stty size" if spoken.resizes else "true"
    typed = "read line; echo got $line" if stdin else "true"
    script = f"{sized}; {typed}; tty; echo $TERM >&2; exit {code}"
    async with session(kubelet, container, "sh", "-c", script, spoken=spoken, stdin=stdin, tty=True) as command:
        if spoken.resizes:
            await command.resize(123, 45)
        if stdin:
            await command.write(STDIN, b"go\n")
        answer = await command.read_all(STDOUT)
        expected = [b"/dev/pts/", b"xterm\r\n", b"45 123\r\n" * spoken.resizes, b"got go\r\n" * stdin]
        assert all(each in answer for each in expected), answer
        await _ended(command, spoken, code)


async def _ended(command: CommandSession, spoken: Spoken, code: int) -> None:
    if spoken.tells == "status":
        assert await command.exit_code() == code
    elif spoken.tells == "text":
        text = await command.error_text()
        assert f"exit code {code}" in text if code else text == ""
