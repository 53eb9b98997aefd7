"""The streamed lists: what the lists say, in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cri_shim.api.runtime import v1 as cri
from integration.kubelet import BUSYBOX

if TYPE_CHECKING:
    from integration.kubelet import Kubelet

pytestmark = [pytest.mark.anyio, pytest.mark.shim_only]  # containerd's plugin has these from 2.3 on

LARGE = {f"key-{number}": "v" * 4096 for number in range(40)}  # of annotations: 160 KiB


async def test_pods_and_containers_come_in_pieces_and_as_they_are_listed(kubelet: Kubelet) -> None:
    config = kubelet.pod_config(labels={"app": "streamed"})
    pod = await kubelet.run_pod(config)
    other = await kubelet.run_pod()
    await kubelet.run(other)
    ids = [
        await kubelet.create(pod, kubelet.container_config(name=f"large-{number}", annotations=LARGE))
        for number in range(8)
    ]
    wanted = cri.ContainerFilter(pod_sandbox_id=pod.id[:20])
    request = cri.StreamContainersRequest(filter=wanted)
    pieces = [piece.containers async for piece in kubelet.runtime.stream_containers(request)]
    assert len(pieces) > 1
    assert sorted(item.id for piece in pieces for item in piece) == sorted(ids)
    assert [item for piece in pieces for item in piece] == await kubelet.list_containers(wanted)

    selected = cri.PodSandboxFilter(label_selector={"app": "streamed"})
    pods = [
        item
        async for piece in kubelet.runtime.stream_pod_sandboxes(cri.StreamPodSandboxesRequest(filter=selected))
        for item in piece.pod_sandboxes
    ]
    assert [item.id for item in pods] == [pod.id]
    assert pods == await kubelet.list_pods(selected)
    everything = [
        item.id
        async for piece in kubelet.runtime.stream_pod_sandboxes(cri.StreamPodSandboxesRequest())
        for item in piece.pod_sandboxes
    ]
    assert everything == [item.id for item in await kubelet.list_pods()]
    nothing = cri.StreamContainersRequest(filter=cri.ContainerFilter(id="0000"))
    assert [piece async for piece in kubelet.runtime.stream_containers(nothing)] == []


async def test_images_are_streamed_as_they_are_listed(kubelet: Kubelet) -> None:
    for wanted in (None, cri.ImageFilter(image=cri.ImageSpec(image=BUSYBOX))):
        streamed = [
            image
            async for piece in kubelet.images.stream_images(cri.StreamImagesRequest(filter=wanted))
            for image in piece.images
        ]
        assert streamed == (await kubelet.images.list_images(cri.ListImagesRequest(filter=wanted))).images
        assert streamed
