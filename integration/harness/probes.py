"""Whether something answers on a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Final

from grpclib.client import Channel
from grpclib.exceptions import GRPCError, StreamTerminatedError

from cri_shim.api.runtime import v1 as cri
from integration.harness.patience import patience

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE: Final = patience(5.0)


def connects(path: Path) -> bool:
    """Whether somebody listens."""
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        client.connect(str(path))
        return True
    return False


def serves_cri(path: Path) -> bool:
    """Whether CRI's Version is answered: not while containerd's plugin, or cri-shim, is still recovering."""
    if not connects(path):
        return False
    answers: list[bool] = []
    # A thread of its own, since the caller may be inside a running event loop.
    thread = threading.Thread(target=lambda: answers.append(asyncio.run(_version(str(path)))))
    thread.start()
    thread.join()
    return answers == [True]


async def _version(path: str) -> bool:
    channel = Channel(path=path)
    try:
        await cri.RuntimeServiceStub(channel).version(cri.VersionRequest(), timeout=_PATIENCE)
    except (GRPCError, StreamTerminatedError, OSError, TimeoutError):
        return False
    else:
        return True
    finally:
        channel.close()
