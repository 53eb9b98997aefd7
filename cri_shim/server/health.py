"""grpc.health.v1: whether the CRI is answered, for supervisors and probes.

It follows readiness alone, not containerd's health: who asks may restart us, and that mends nothing there; the CRI's
own Status tells of it. Source: gRPC's `doc/health-checking.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from cri_shim.api.grpc.health import v1 as health
from cri_shim.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.server.instrumented import Gate

SERVICES = ("", "runtime.v1.RuntimeService", "runtime.v1.ImageService")
"""What can be asked about; "" is the server as a whole."""

_Status = health.HealthCheckResponseServingStatus


class Health(health.HealthBase):
    """Says SERVING while `gate` lets calls through; `changed` has the watchers look again."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._change = anyio.Event()

    def changed(self) -> None:
        """The gate has been opened or shut."""
        change, self._change = self._change, anyio.Event()
        change.set()

    async def check(self, message: health.HealthCheckRequest) -> health.HealthCheckResponse:
        """How it is now. Raises NotFound for a service that isn't ours."""
        if message.service not in SERVICES:
            raise NotFound(f"no service is called {message.service!r} here: ask for one of {', '.join(SERVICES[1:])}")
        return self._now()

    async def watch(self, message: health.HealthCheckRequest) -> AsyncIterator[health.HealthCheckResponse]:
        """How it is now, and after each change; ends when the server does."""
        if message.service not in SERVICES:
            yield health.HealthCheckResponse(status=_Status.SERVICE_UNKNOWN)
        while not self._gate.draining:
            change = self._change
            if message.service in SERVICES:
                yield self._now()
            await change.wait()
        if message.service in SERVICES:
            yield self._now()

    def _now(self) -> health.HealthCheckResponse:
        serves = self._gate.ready and not self._gate.draining
        return health.HealthCheckResponse(status=_Status.SERVING if serves else _Status.NOT_SERVING)
