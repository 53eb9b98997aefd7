"""Exec and attach: a command's streams, and how it ended.

A client that is gone leaves its command running, as with containerd: its stdin ends, its output can't be delivered, and
its end is waited for. An attach ends with its client; but not before the end of stdin has been passed on, which a
container with stdin_once waits for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import anyio
import structlog

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import CriError
from cri_shim.streaming import seconds, status
from cri_shim.streaming.lost import LOST

if TYPE_CHECKING:
    from cri_shim.cri.remote_streams import RemoteRuntime
    from cri_shim.streaming.client_streams import ClientStreams
    from cri_shim.streaming.protocols import Version

log = structlog.get_logger(__name__)

CommandRequest: TypeAlias = cri.ExecRequest | cri.AttachRequest


async def perform(
    runtime: RemoteRuntime, request: CommandRequest, streams: ClientStreams, version: Version, gone: anyio.Event
) -> None:
    """Run the command with the client's streams, and say how it ended. `gone` is set when the client is."""
    try:
        await streams.finish(await _performed(runtime, request, streams, version, gone))
    except LOST:  # the runtime wanted to send
        log.debug("the client of a remote command is gone", container_id=request.container_id)
    except CriError as error:
        log.info("a remote command failed", container_id=request.container_id, error=str(error))
        await streams.finish(status.failed(version, _doing(request), error))
    except Exception as error:
        log.exception("a remote command failed", container_id=request.container_id)
        await streams.finish(status.failed(version, _doing(request), error))


async def _performed(
    runtime: RemoteRuntime, request: CommandRequest, streams: ClientStreams, version: Version, gone: anyio.Event
) -> bytes:
    if isinstance(request, cri.ExecRequest):
        return status.ended(version, request.cmd, await runtime.exec(request, streams))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_part, gone, tasks.cancel_scope)
        await runtime.attach(request, streams)
        tasks.cancel_scope.cancel()
    return status.succeeded(version)


def _doing(request: CommandRequest) -> str:
    if isinstance(request, cri.ExecRequest):
        return "error executing command in container"
    return "error attaching to container"


async def _part(gone: anyio.Event, work: anyio.CancelScope) -> None:
    await gone.wait()
    work.deadline = anyio.current_time() + seconds.PARTING
