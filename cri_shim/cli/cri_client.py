"""A client of any CRI endpoint, with our codec and our errors."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grpclib.client import Channel
from grpclib.exceptions import GRPCError, StreamTerminatedError

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import CriCodec
from cri_shim.errors import Unavailable, from_status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True)
class CriClient:
    """Both services of one endpoint."""

    runtime: cri.RuntimeServiceStub
    images: cri.ImageServiceStub


@asynccontextmanager
async def connect(endpoint: str) -> AsyncIterator[CriClient]:
    """A client of the server at `endpoint` (`unix://PATH`), for the length of the block.

    What the server answers with is raised as our error of that kind; Unavailable when it can't be reached.
    """
    channel = Channel(path=endpoint.removeprefix("unix://"), codec=CriCodec())
    try:
        yield CriClient(cri.RuntimeServiceStub(channel), cri.ImageServiceStub(channel))
    except GRPCError as error:
        raise from_status(error.status, error.message or error.status.name) from error
    except (StreamTerminatedError, ConnectionError, FileNotFoundError) as error:
        raise Unavailable(f"{endpoint}: no answer: {error}") from error
    finally:
        channel.close()
