"""The connection to what is tested."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
from grpclib.client import Channel
from grpclib.exceptions import GRPCError, StreamTerminatedError

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import CriCodec
from cri_shim.errors import Unavailable
from cri_shim.smoke import place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.smoke.place import Place

_ANSWER_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Endpoint:
    """Both services, what they said of themselves at first, and where they are."""

    address: str
    channel: Channel
    runtime: cri.RuntimeServiceStub
    images: cri.ImageServiceStub
    place: Place
    version: cri.VersionResponse
    cgroup_driver: cri.CgroupDriver | None
    status: cri.StatusResponse

    @property
    def product(self) -> tuple[str, str]:
        """Whose endpoint it is, and its version: cri-shim answers as the containerd beneath it, and says so beside."""
        if own := self.status.info.get("criShim"):
            return "cri-shim", str(json.loads(own).get("version", ""))
        return self.version.runtime_name, self.version.runtime_version

    def handler(self, name: str) -> cri.RuntimeHandler | None:
        """What the runtime says of a handler; "" is the default one."""
        return next((each for each in self.status.runtime_handlers if each.name == name), None)


@asynccontextmanager
async def connected(address: str, image_address: str = "") -> AsyncIterator[Endpoint]:
    """The endpoint at `address` (`unix://PATH`), its image service elsewhere if `image_address` is given.

    Raises Unavailable when it can't be reached, or does not speak CRI v1.
    """
    found = await place.find(address)
    channel = _channel(address)
    images = _channel(image_address) if image_address else channel
    runtime = cri.RuntimeServiceStub(channel)
    try:
        try:
            with anyio.fail_after(_ANSWER_SECONDS):
                version = await runtime.version(cri.VersionRequest())
                status = await runtime.status(cri.StatusRequest(verbose=True))
                driver = await _cgroup_driver(runtime)
        except (GRPCError, StreamTerminatedError, OSError) as error:  # TimeoutError is an OSError
            raise Unavailable(f"{address}: no answer to Version and Status of CRI v1: {error}") from error
        yield Endpoint(address, channel, runtime, cri.ImageServiceStub(images), found, version, driver, status)
    finally:
        channel.close()
        images.close()


def _channel(address: str) -> Channel:
    return Channel(path=address.removeprefix("unix://"), codec=CriCodec())


async def _cgroup_driver(runtime: cri.RuntimeServiceStub) -> cri.CgroupDriver | None:
    """The driver by which the pods' cgroups are named; None where a runtime doesn't tell."""
    try:
        linux = (await runtime.runtime_config(cri.RuntimeConfigRequest())).linux
    except GRPCError:
        return None
    return linux.cgroup_driver if linux else None
