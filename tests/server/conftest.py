"""A server on a real Unix socket, with services that tests write, and a client that can do what no client should."""

from __future__ import annotations

import io
import logging
import struct
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from grpclib.client import Channel
from grpclib.const import Cardinality
from h2.exceptions import StreamClosedError

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import CriCodec
from cri_shim.config import default
from cri_shim.observe.logging import configure
from cri_shim.server.serve import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from cri_shim.config.settings import Settings

PREFIX = struct.Struct(">BI")
VERSION = "/runtime.v1.RuntimeService/Version"


@dataclass
class Served:
    """A server that answers, and a channel to it."""

    server: Server
    settings: Settings
    channel: Channel

    @property
    def runtime(self) -> cri.RuntimeServiceStub:
        return cri.RuntimeServiceStub(self.channel)

    @property
    def images(self) -> cri.ImageServiceStub:
        return cri.ImageServiceStub(self.channel)

    async def raw(self, data: bytes, *, compressed: int = 0, length: int | None = None, end: bool = True) -> Any:
        """Version, called with just these bytes; `length` is what their prefix says. Raises GRPCError."""
        request = self.channel.request(VERSION, Cardinality.UNARY_UNARY, cri.VersionRequest, cri.VersionResponse)
        async with request as stream:
            await stream.send_request()
            prefix = PREFIX.pack(compressed, len(data) if length is None else length)
            with suppress(StreamClosedError):  # refused before it was all sent
                await stream._stream.send_data(prefix + data, end_stream=end)
            stream._send_message_done = stream._end_done = True
            return await stream.recv_message()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(default(), shim=replace(default().shim, address=f"unix://{tmp_path}/run/cri.sock"))


@pytest.fixture
def serving(settings: Settings) -> Callable[..., AbstractAsyncContextManager[Served]]:
    @asynccontextmanager
    async def serve(*services: Any, ready: bool = True, **limits: int) -> AsyncIterator[Served]:
        grpc = replace(settings.containerd.grpc, **limits)
        chosen = replace(settings, containerd=replace(settings.containerd, grpc=grpc))
        async with Server(chosen, services) as server:
            if ready:
                server.ready()
            channel = Channel(path=chosen.shim.address.removeprefix("unix://"), codec=CriCodec())
            try:
                yield Served(server, chosen, channel)
            finally:
                channel.close()

    return serve


def forget_streams() -> None:
    """Have the loggers of our modules look again where they write to: they do it once, for speed."""
    for name, module in list(sys.modules.items()):
        logger = getattr(module, "log", None) if name.startswith("cri_shim.") else None
        if "bind" in getattr(logger, "__dict__", {}):
            del logger.bind


@pytest.fixture
def log_as() -> Iterator[Callable[[str], io.StringIO]]:
    """The process's log from a level on, as JSON, for the length of the test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def log(least: str) -> io.StringIO:
        stream = io.StringIO()
        configure(least, "json", stream)
        return stream

    forget_streams()
    yield log
    forget_streams()
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
