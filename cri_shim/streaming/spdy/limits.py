"""How much of ours a peer can take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on all that a peer makes grow; the frames of DATA need none, they are passed on as they come.

    Kubernetes' clients send two or three short headers a stream and open at most six streams for a command, but two for
    each forwarded connection.
    """

    control_frame_bytes: int = 16 << 10
    header_block_bytes: int = 16 << 10  # inflated
    headers: int = 100
    streams: int = 1000  # open at once, by the peer


DEFAULT_LIMITS = Limits()
