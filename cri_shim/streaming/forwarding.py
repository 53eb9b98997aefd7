"""One forwarded connection, whatever carries it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from cri_shim.errors import CriError
from cri_shim.streaming.lost import LOST

if TYPE_CHECKING:
    from anyio.abc import ByteStream

    from cri_shim.cri.remote_streams import RemoteRuntime

log = structlog.get_logger(__name__)

_LARGEST_PORT = 0xFFFF


async def forward(runtime: RemoteRuntime, pod_sandbox_id: str, port: int, stream: ByteStream) -> str:
    """Connect `stream` to the port until both directions have ended; what went wrong, for the client, or ""."""
    try:
        with suppress(*LOST):
            await runtime.port_forward(pod_sandbox_id, port, stream)
    except CriError as error:
        log.info("a port could not be forwarded", pod_sandbox_id=pod_sandbox_id, port=port, error=str(error))
        return _failed(pod_sandbox_id, port, error)
    except Exception as error:
        log.exception("a port could not be forwarded", pod_sandbox_id=pod_sandbox_id, port=port)
        return _failed(pod_sandbox_id, port, error)
    return ""


def _failed(pod_sandbox_id: str, port: int, error: Exception) -> str:
    return f"error forwarding port {port} to pod {pod_sandbox_id}, uid : {error}"


def port_number(text: str) -> int | None:
    """The port that `text` names, 1 to 65535."""
    if not text.isascii() or not text.isdecimal():
        return None
    return number if 0 < (number := int(text[:6])) <= _LARGEST_PORT else None
