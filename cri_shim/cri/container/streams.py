"""What exec and attach have in common: which streams a client may ask for, what it types, and its terminal's size."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import anyio
import structlog

from cri_shim.errors import CriError, InvalidArgument

if TYPE_CHECKING:
    from anyio.abc import ByteReceiveStream, ObjectReceiveStream

    from cri_shim.cri.parts import Parts
    from cri_shim.cri.remote_streams import TerminalSize
    from cri_shim.stdio.stdin import StdinPipe

log = structlog.get_logger(__name__)


class StreamsRequest(Protocol):
    """An ExecRequest or an AttachRequest."""

    tty: bool
    stdin: bool
    stdout: bool
    stderr: bool


def require_streams(request: StreamsRequest) -> None:
    """InvalidArgument, as containerd's streaming server answers, for streams that can't be had together, or none."""
    if request.tty and request.stderr:
        raise InvalidArgument("tty and stderr cannot both be true: a terminal's errors come with its standard output")
    if not (request.stdin or request.stdout or request.stderr):
        raise InvalidArgument("one of stdin, stdout, or stderr must be set: there is nothing to connect")


async def follow_resizes(
    parts: Parts, container_id: str, exec_id: str, resizes: ObjectReceiveStream[TerminalSize] | None
) -> None:
    """Give a process's terminal each size that the client's has, until there are no more."""
    if resizes is None:
        return
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        async for size in resizes:
            try:
                await parts.containerd.tasks.resize_pty(container_id, exec_id, width=size.width, height=size.height)
            except CriError as error:  # it has just ended, or not begun: the session tells
                log.info("terminal not resized", container_id=container_id, exec=exec_id, error=str(error))


async def received(stdin: ByteReceiveStream) -> bytes:
    """What the client has sent; b"" at its end, and when the client is gone."""
    try:
        return await stdin.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        return b""


async def written(pipe: StdinPipe, data: bytes) -> bool:
    """Whether the process took all of `data`: it may have ended, or closed its standard input."""
    try:
        await pipe.write(data)
    except BrokenPipeError:
        return False
    return True
