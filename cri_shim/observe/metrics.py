"""Prometheus metrics of the CRI server and of pulls; what containerd counts is in `containerd_names.py`.

Children are kept, not looked up by label in the call's way.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread
from grpclib.const import Status
from prometheus_client import Counter, Gauge, Histogram, start_http_server

from cri_shim.errors import FailedPrecondition, InvalidArgument
from cri_shim.observe.containerd_names import OF_RPC

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

_SECONDS = Histogram("cri_shim_rpc_duration_seconds", "How long CRI calls took.", ["rpc"], buckets=_BUCKETS)
_CALLS = Counter("cri_shim_rpcs_total", "CRI calls by their status.", ["rpc", "code"])
_UNDER_WAY = Gauge("cri_shim_rpcs_under_way", "CRI calls under way.", ["rpc"])

STEP_SECONDS = Histogram(
    "cri_shim_step_duration_seconds", "How long the steps of calls took.", ["call", "step"], buckets=_BUCKETS
)
PULL_SECONDS = Histogram(
    "cri_shim_image_pull_duration_seconds", "How long pulls took that succeeded.", buckets=_BUCKETS
)
PULLED_BYTES = Counter("cri_shim_image_pulled_bytes", "Bytes of images that have been downloaded.")


@asynccontextmanager
async def serving_metrics(address: str) -> AsyncIterator[None]:
    """Serve `/metrics` at `host:port` for as long as the block lasts, in a thread; "" serves nothing.

    Raises InvalidArgument for what is no address, FailedPrecondition when it can't be listened on.
    """
    if not address:
        yield
        return
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        raise InvalidArgument(f"metrics_address {address!r}: give HOST:PORT")
    try:
        server, thread = await to_thread.run_sync(lambda: start_http_server(int(port), host.strip("[]")))
    except OSError as error:
        raise FailedPrecondition(f"metrics_address {address!r} can't be listened on: {error.strerror}") from error
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(server.shutdown)
            await to_thread.run_sync(thread.join)
        server.server_close()


class RpcMetrics:
    """The metrics of one RPC."""

    def __init__(self, rpc: str) -> None:
        self._rpc = rpc
        self._seconds = _SECONDS.labels(rpc)
        self._under_way = _UNDER_WAY.labels(rpc)
        self._timer = OF_RPC.get(rpc)
        self._calls: dict[Status, Counter] = {}

    def began(self) -> None:
        """A call came in."""
        self._under_way.inc()

    def ended(self, status: Status, seconds: float) -> None:
        """It was answered with `status`, `seconds` later."""
        self._under_way.dec()
        self._seconds.observe(seconds)
        if self._timer is not None and status is Status.OK:
            self._timer.observe(seconds)
        calls = self._calls.get(status)
        if calls is None:
            calls = self._calls[status] = _CALLS.labels(self._rpc, status.name)
        calls.inc()
