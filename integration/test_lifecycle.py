"""The life of pods and containers in its less usual turns: what fails, what is stopped when, what is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError
from grpclib.const import Status

if TYPE_CHECKING:
    from integration.kubelet import Kubelet

pytestmark = pytest.mark.anyio


async def test_the_same_pod_by_another_handler_is_another_request(kubelet: Kubelet) -> None:
    config = kubelet.pod_config()
    pod = await kubelet.run_pod(config)
    with pytest.raises(GRPCError) as caught:
        await kubelet.run_pod(config, handler="crun")
    assert caught.value.status is Status.FAILED_PRECONDITION
    assert pod.id in (caught.value.message or "")


async def test_a_container_that_waits_in_a_pods_last_attempt_is_not_the_next_ones(kubelet: Kubelet) -> None:
    first = await kubelet.run_pod()
    waiting = await kubelet.create(first)
    await kubelet.stop_pod(first)
    config = kubelet.pod_config()
    config.metadata.attempt, config.metadata.name = 1, first.config.metadata.name  # type: ignore[union-attr]
    config.metadata.uid = first.config.metadata.uid  # type: ignore[union-attr]
    second = await kubelet.run_pod(config)
    with pytest.raises(GRPCError) as caught:
        await kubelet.create(second)
    assert caught.value.status is Status.FAILED_PRECONDITION
    assert waiting in (caught.value.message or "")
