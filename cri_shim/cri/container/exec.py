"""Exec: a command in a running container whose streams a client has.

The RPC answers a URL; the session follows when a client takes it up. A client that goes away ends the command's
standard input and nothing else: the command may finish, and what it still says is read away. (Behind containerd's
plugin it would stop in the middle, as soon as the pipe is full.) A session that is ended from our side is killed.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.container.exec_process import new_process, require_command
from cri_shim.cri.container.streams import follow_resizes, received, require_streams, written

if TYPE_CHECKING:
    from anyio.abc import ByteReceiveStream

    from cri_shim.cri.container.exec_process import ExecProcess
    from cri_shim.cri.parts import Parts
    from cri_shim.cri.remote_streams import RemoteStreams, StreamingUrls


def prepare_exec(parts: Parts, urls: StreamingUrls, request: cri.ExecRequest) -> cri.ExecResponse:
    """The URL at which the command will be run.

    Raises NotFound for no container, Unknown for one that does not run, InvalidArgument for no command and for streams
    that can't be had, ResourceExhausted when too many URLs wait.
    """
    parts.containers.find(request.container_id).require_running()
    require_streams(request)
    require_command(request.cmd)
    return cri.ExecResponse(url=urls.exec(request))


async def run_exec(parts: Parts, request: cri.ExecRequest, streams: RemoteStreams) -> int:
    """Run the command with the client's streams; its exit code, once its output has been passed on.

    Raises NotFound and Unknown as `prepare_exec`, Unknown for output that a child holds open, and what the runtime
    reports.
    """
    container = parts.containers.find(request.container_id)
    container.require_running()
    wants_input = streams.stdin is not None
    async with new_process(parts, container, stdin=wants_input, terminal=request.tty) as process:
        return await process.run(
            request.cmd,
            partial(process.io.copy, streams.stdout, streams.stderr),
            partial(_feed, process, streams.stdin),
            partial(follow_resizes, parts, container.id, process.id, streams.resizes),
        )


async def _feed(process: ExecProcess, stdin: ByteReceiveStream | None) -> None:
    """Pass on what the client types or pipes in, and the end of it; a terminal's input has no end."""
    pipe = process.io.input
    if stdin is None or pipe is None:
        return
    while data := await received(stdin):
        if not await written(pipe, data):
            break
    if not process.io.terminal:
        await process.close_input()
