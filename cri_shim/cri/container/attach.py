"""Attach: a client's streams beside the log of a container's main process, from now on, until either ends.

Leaving changes nothing for the container, but where it was created with `stdin_once`: then the first client's end of
input is the container's. A client that doesn't read holds nobody up; once it is too far behind it is cut off.
Source: containerd `internal/cri/io/container_io.go` (`Attach`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.container.streams import follow_resizes, received, require_streams, written
from cri_shim.errors import CriError, ResourceExhausted, Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyio.abc import ByteReceiveStream, ByteSendStream

    from cri_shim.cri.parts import Parts
    from cri_shim.cri.remote_streams import RemoteStreams, StreamingUrls
    from cri_shim.state.container import Container
    from cri_shim.stdio.container_io import ContainerIo
    from cri_shim.stdio.subscription import Stream, Subscription


def prepare_attach(parts: Parts, urls: StreamingUrls, request: cri.AttachRequest) -> cri.AttachResponse:
    """The URL at which the container can be attached to.

    Raises NotFound for no container, Unknown for one that does not run, InvalidArgument for streams that can't be had,
    ResourceExhausted when too many URLs wait.
    """
    parts.containers.find(request.container_id).require_running()
    require_streams(request)
    return cri.AttachResponse(url=urls.attach(request))


async def run_attach(parts: Parts, request: cri.AttachRequest, streams: RemoteStreams) -> None:
    """Connect the client's streams until the container's outputs end, or the client's.

    Raises NotFound and Unknown as `prepare_attach`, ResourceExhausted for a client that was too far behind.
    """
    container = parts.containers.find(request.container_id)
    container.require_running()
    if container.io is None:
        raise Unknown(f"container {container.id} has no streams that can be attached to: it has just ended")
    wanted: dict[Stream, ByteSendStream] = {}
    if streams.stdout is not None:
        wanted["stdout"] = streams.stdout
    if streams.stderr is not None:
        wanted["stderr"] = streams.stderr
    subscription = container.io.subscribe(*wanted)
    attached = _Attached(parts, container, container.io, subscription, wanted, streams, tty=request.tty)
    try:
        await attached.stay()
    finally:
        attached.io.unsubscribe(subscription)


@dataclass(eq=False)
class _Attached:
    """One client at a container."""

    parts: Parts
    container: Container
    io: ContainerIo
    heard: Subscription
    wanted: Mapping[Stream, ByteSendStream]
    streams: RemoteStreams
    tty: bool

    async def stay(self) -> None:
        """Until the container's outputs have ended, or the client has gone."""
        stdin = self.streams.stdin if self.io.input is not None else None
        if not self.wanted and stdin is None:  # as in containerd: input for a container that has none
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow_resizes, self.parts, self.container.id, "", self.streams.resizes)
            if stdin is not None:
                tasks.start_soon(self._feed, stdin)
            await self._deliver()
            tasks.cancel_scope.cancel()
        if self.heard.missed_bytes:
            raise ResourceExhausted(
                f"detached from container {self.container.id}: the client was {self.heard.bound >> 20} MiB behind its "
                "output, which waits for nobody; attach again, and find what was missed in the log"
            )

    async def _deliver(self) -> None:
        try:
            async for stream, data in self.heard:
                await self.wanted[stream].send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._end_input()

    async def _feed(self, stdin: ByteReceiveStream) -> None:
        while data := await received(stdin):
            await self.heard.nearly_caught_up()
            if self.io.input is None or not await written(self.io.input, data):
                return  # the container has closed its input; its outputs go on
        await self._end_input()
        if not self._ends_input:
            self.heard.close()  # detached: what was said before is still delivered

    @property
    def _ends_input(self) -> bool:
        return self.container.metadata.config.stdin_once and not self.tty

    async def _end_input(self) -> None:
        """Have the container read the end of its input, if this client's end is that."""
        pipe = self.io.input
        if self.streams.stdin is None or not self._ends_input or pipe is None or pipe.closed:
            return
        pipe.close()
        with suppress(CriError):  # it has ended
            await self.parts.containerd.tasks.close_io(self.container.id)
