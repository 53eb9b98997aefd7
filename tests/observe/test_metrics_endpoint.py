from __future__ import annotations

import socket
import urllib.request

import pytest
from anyio import to_thread
from grpclib.const import Status

from cri_shim.errors import FailedPrecondition, InvalidArgument
from cri_shim.observe.metrics import RpcMetrics, serving_metrics

pytestmark = pytest.mark.anyio


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_calls_are_counted_and_can_be_scraped() -> None:
    metrics = RpcMetrics("Scraped")
    metrics.began()
    metrics.ended(Status.OK, 0.01)
    port = free_port()
    async with serving_metrics(f"127.0.0.1:{port}"):
        url = f"http://127.0.0.1:{port}/metrics"
        text = await to_thread.run_sync(lambda: urllib.request.urlopen(url).read().decode())
    assert 'cri_shim_rpcs_total{code="OK",rpc="Scraped"} 1.0' in text
    with pytest.raises(OSError, match="refused"):
        await to_thread.run_sync(lambda: urllib.request.urlopen(url))


async def test_without_an_address_nothing_is_served_and_a_bad_one_is_refused() -> None:
    async with serving_metrics(""):
        pass
    with pytest.raises(InvalidArgument, match="HOST:PORT"):
        async with serving_metrics("9090"):
            pass


async def test_an_address_that_is_taken_is_said_in_plain_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(FailedPrecondition, match=r"metrics_address .* Address already in use"):
            async with serving_metrics(f"127.0.0.1:{taken.getsockname()[1]}"):
                pass
