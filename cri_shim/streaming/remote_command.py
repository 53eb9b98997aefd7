"""Exec and attach: a command's streams, and how it ended.

A client that is gone leaves its command running, as with containerd: its stdin ends, its output can't be delivered, and
its end is waited for. An attach ends with its client; but not before the end of stdin has been passed on, which a
container with stdin_once waits for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import anyio
import structlog

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import CriError, Unavailable
from cri_shim.streaming import seconds, status
from cri_shim.streaming.lost import LOST

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from cri_shim.cri.remote_streams import RemoteRuntime
    from cri_shim.streaming.client_streams import ClientStreams
    from cri_shim.streaming.protocols import Version

log = structlog.get_logger(__name__)

CommandRequest: TypeAlias = cri.ExecRequest | cri.AttachRequest


@dataclass(frozen=True, slots=True)
class Client:
    """Who asked for the command: its streams, what it speaks, and when it was seen to be `gone`."""

    streams: ClientStreams
    version: Version
    gone: anyio.Event
    tasks: TaskGroup  # of its session


async def perform(runtime: RemoteRuntime, request: CommandRequest, client: Client) -> None:
    """Run the command with the client's streams, and say how it ended."""
    streams = client.streams
    try:
        await streams.finish(await _performed(runtime, request, client))
    except LOST:  # the runtime wanted to send
        log.debug("the client of a remote command is gone", container_id=request.container_id)
    except CriError as error:
        log.info("a remote command failed", container_id=request.container_id, error=str(error))
        await streams.finish(_failed(request, client.version, error))
    except Exception as error:
        log.exception("a remote command failed", container_id=request.container_id)
        await streams.finish(_failed(request, client.version, error))
    except anyio.get_cancelled_exc_class():
        with anyio.move_on_after(seconds.FAREWELL, shield=True):
            await streams.finish(_failed(request, client.version, Unavailable("the runtime is shutting down")))
        raise


async def _performed(runtime: RemoteRuntime, request: CommandRequest, client: Client) -> bytes:
    if isinstance(request, cri.ExecRequest):
        return status.ended(client.version, request.cmd, await runtime.exec(request, client.streams))
    with anyio.CancelScope() as work:
        client.tasks.start_soon(_part, client.gone, work)
        await runtime.attach(request, client.streams)
    return status.succeeded(client.version)


async def _part(gone: anyio.Event, work: anyio.CancelScope) -> None:
    await gone.wait()
    work.deadline = anyio.current_time() + seconds.PARTING


def _failed(request: CommandRequest, version: Version, error: Exception) -> bytes:
    doing = "executing command in" if isinstance(request, cri.ExecRequest) else "attaching to"
    return status.failed(version, f"error {doing} container", error)
