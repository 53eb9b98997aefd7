"""Small services for the server's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import Encoded, item

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from grpclib.const import Handler


class Runtime(cri.RuntimeServiceBase):
    """Answers Version at once, lists already encoded, stops containers when it is let."""

    def __init__(self, awaited: int = 1) -> None:
        self.stopping, self.awaited = 0, awaited
        self.called, self.let, self.cancelled = anyio.Event(), anyio.Event(), anyio.Event()

    async def version(self, message: cri.VersionRequest) -> cri.VersionResponse:
        return cri.VersionResponse(version=message.version, runtime_name="test")

    async def list_containers(self, message: cri.ListContainersRequest):  # noqa: ARG002
        items = [item(1, cri.Container(id=name)) for name in ("one", "two")]
        return Encoded(cri.ListContainersResponse, b"".join(items))

    async def stop_container(self, message: cri.StopContainerRequest) -> cri.StopContainerResponse:  # noqa: ARG002
        self.stopping += 1
        if self.stopping == self.awaited:
            self.called.set()
        try:
            await self.let.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled.set()
            raise
        return cri.StopContainerResponse()

    async def get_container_events(
        self,
        message: cri.GetEventsRequest,  # noqa: ARG002
    ) -> AsyncIterator[cri.ContainerEventResponse]:
        for name in ("first", "second"):
            yield cri.ContainerEventResponse(container_id=name)
        if self.let.is_set():
            raise RuntimeError("the source of events is gone")


class Failing(cri.RuntimeServiceBase, cri.ImageServiceBase):
    """Raises what it is told."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __mapping__(self) -> dict[str, Handler]:
        return {**cri.RuntimeServiceBase.__mapping__(self), **cri.ImageServiceBase.__mapping__(self)}

    async def version(self, message: cri.VersionRequest) -> cri.VersionResponse:  # noqa: ARG002
        raise self.error

    async def pull_image(self, message: cri.PullImageRequest) -> cri.PullImageResponse:  # noqa: ARG002
        raise self.error
