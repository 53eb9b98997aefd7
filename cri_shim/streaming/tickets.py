"""Sessions that were granted and not yet taken up: whoever knows the token may have one, once, for a minute.

The token is all that a client shows, so it is long, and it is looked up by its digest: how long a lookup takes tells
about the digest, which nobody can steer. Source: containerd's `internal/cri/streaming` request cache, for its limits.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import ResourceExhausted

if TYPE_CHECKING:
    from collections.abc import Callable

LIFETIME = 60.0  # seconds
MOST = 1000
_TOKEN_BYTES = 16

Request: TypeAlias = cri.ExecRequest | cri.AttachRequest | cri.PortForwardRequest


@dataclass(frozen=True, slots=True)
class _Ticket:
    path: str
    request: Request
    until: float


class Tickets:
    """Those that wait, oldest first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[bytes, _Ticket] = {}

    def issue(self, path: str, request: Request) -> str:
        """A token for `request` under `path`. Raises ResourceExhausted when too many wait."""
        now = self._clock()
        self._forget(now)
        if len(self._waiting) >= MOST:
            raise ResourceExhausted(f"maximum number of in-flight requests exceeded: {MOST} sessions wait for a client")
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._waiting[_digest(token)] = _Ticket(path, request, now + LIFETIME)
        return token

    def redeem(self, path: str, token: str) -> Request | None:
        """The request that `token` stands for; None if there is none, or not there, or no more. It is used up."""
        ticket = self._waiting.pop(_digest(token), None)
        if ticket is None or ticket.path != path or ticket.until <= self._clock():
            return None
        return ticket.request

    def _forget(self, now: float) -> None:
        for digest, ticket in list(self._waiting.items()):
            if ticket.until > now:
                return
            del self._waiting[digest]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
