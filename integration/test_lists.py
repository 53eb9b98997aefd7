"""The lists and every part of their filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cri_shim.api.runtime import v1 as cri

if TYPE_CHECKING:
    from integration.kubelet import Kubelet

pytestmark = pytest.mark.anyio


async def test_pods_are_found_by_id_its_beginning_state_labels_and_all_of_them(kubelet: Kubelet) -> None:
    one = await kubelet.run_pod(kubelet.pod_config("one", labels={"app": "a", "tier": "x"}))
    two = await kubelet.run_pod(kubelet.pod_config("two", labels={"app": "a"}))
    await kubelet.stop_pod(two)

    async def found(**wanted: object) -> set[str]:
        return {pod.id for pod in await kubelet.list_pods(cri.PodSandboxFilter(**wanted))}  # type: ignore[arg-type]

    ready = cri.PodSandboxStateValue(state=cri.PodSandboxState.SANDBOX_READY)
    assert await found() >= {one.id, two.id}
    assert await found(id=one.id) == {one.id}
    assert await found(id=two.id[:20]) == {two.id}
    assert await found(id="0000") == set()
    assert await found(label_selector={"app": "a"}) == {one.id, two.id}
    assert await found(label_selector={"app": "a", "tier": "x"}) == {one.id}
    assert await found(label_selector={"app": "a"}, state=ready) == {one.id}
    assert await found(id=two.id, state=ready) == set()
    item = (await kubelet.list_pods(cri.PodSandboxFilter(id=one.id)))[0]
    assert item.metadata == one.config.metadata
    assert item.annotations == one.config.annotations


async def test_containers_are_found_by_id_pod_state_labels_and_all_of_them(kubelet: Kubelet) -> None:
    pod, other = await kubelet.run_pod(), await kubelet.run_pod()
    running = await kubelet.run(pod, kubelet.container_config(name="running"))
    created = await kubelet.create(pod, kubelet.container_config(name="created"))
    elsewhere = await kubelet.create(other, kubelet.container_config(name="created"))

    async def found(**wanted: object) -> set[str]:
        return {item.id for item in await kubelet.list_containers(cri.ContainerFilter(**wanted))}  # type: ignore[arg-type]

    state = cri.ContainerStateValue(state=cri.ContainerState.CONTAINER_RUNNING)
    by_name = {"io.kubernetes.container.name": "created"}
    assert await found() >= {running, created, elsewhere}
    assert await found(pod_sandbox_id=pod.id) == {running, created}
    assert await found(pod_sandbox_id=pod.id[:20], state=state) == {running}
    assert await found(id=created[:30]) == {created}
    assert await found(label_selector=by_name) == {created, elsewhere}
    assert await found(label_selector=by_name, pod_sandbox_id=other.id) == {elsewhere}
    item = (await kubelet.list_containers(cri.ContainerFilter(id=running)))[0]
    assert item.pod_sandbox_id == pod.id
    assert item.state == cri.ContainerState.CONTAINER_RUNNING
    assert item.image_ref.startswith("sha256:")
