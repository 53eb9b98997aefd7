"""Lists and their filters, and the same lists as streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cri_shim.api.runtime import v1 as cri
from cri_shim.smoke.check import Capability
from cri_shim.smoke.configs import RUN_LABEL
from cri_shim.smoke.expect import equal, that

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.smoke.subject import Subject

lists = Capability("lists")
_READY = cri.PodSandboxStateValue(state=cri.PodSandboxState.SANDBOX_READY)
_NOT_READY = cri.PodSandboxStateValue(state=cri.PodSandboxState.SANDBOX_NOTREADY)


async def _pods(s: Subject, **wanted: Any) -> set[str]:
    """The ids of pods of this run that a filter finds."""
    labels = {RUN_LABEL: s.session.run, **wanted.pop("label_selector", {})}
    return {pod.id for pod in await s.list_pods(label_selector=labels, **wanted)}


async def _containers(s: Subject, **wanted: Any) -> set[str]:
    labels = {RUN_LABEL: s.session.run, **wanted.pop("label_selector", {})}
    return {each.id for each in await s.list_containers(label_selector=labels, **wanted)}


def _state(value: cri.ContainerState) -> cri.ContainerStateValue:
    return cri.ContainerStateValue(state=value)


async def _streamed(answers: AsyncIterator[Any], field: str, wanted: str = "id") -> list[str]:
    """The ids in all messages of a stream."""
    return [getattr(item, wanted) async for answer in answers for item in getattr(answer, field)]


@lists.check
async def pods_are_listed_as_their_status_tells(s: Subject) -> None:
    """A pod in the list is as its status tells."""
    pod = await s.shared_pod()
    (listed,) = await s.list_pods(id=pod.id)
    status = await s.pod_status(pod)
    for field in ("id", "metadata", "state", "created_at", "labels", "annotations", "runtime_handler"):
        equal(field, getattr(status, field), getattr(listed, field))


@lists.check
async def pods_by_id(s: Subject) -> None:
    """A filter by id finds that pod; one by an id that there is not finds none."""
    pod = await s.shared_pod()
    equal("the pod", {pod.id}, await _pods(s, id=pod.id))
    equal("none", set(), await _pods(s, id="f" * 64))


@lists.check
async def pods_by_label(s: Subject) -> None:
    """A filter by labels finds the pods that have them all."""
    pod = await s.pod(s.pod_config(labels={"one": "1", "two": "2"}))
    equal("with both", {pod.id}, await _pods(s, label_selector={"one": "1", "two": "2"}))
    equal("with another value", set(), await _pods(s, label_selector={"one": "1", "two": "other"}))


@lists.check
async def pods_by_state(s: Subject) -> None:
    """A filter by state finds the pods in that state."""
    running, stopped = await s.pod(), await s.pod()
    await s.stop_pod(stopped)
    ready, not_ready = await _pods(s, state=_READY), await _pods(s, state=_NOT_READY)
    that(running.id in ready and stopped.id not in ready, "the running one in READY", ready)
    that(stopped.id in not_ready and running.id not in not_ready, "the stopped one in NOTREADY", not_ready)


@lists.check
async def pods_by_all_at_once(s: Subject) -> None:
    """What a filter names has to hold together."""
    pod = await s.pod(s.pod_config(labels={"one": "1"}))
    equal("all of it", {pod.id}, await _pods(s, id=pod.id, state=_READY, label_selector={"one": "1"}))
    equal("one thing wrong", set(), await _pods(s, id=pod.id, state=_NOT_READY, label_selector={"one": "1"}))


@lists.check
async def containers_are_listed_as_their_status_tells(s: Subject) -> None:
    """A container in the list is as its status tells, and says in which pod it is."""
    container, pod = await s.shared_container(), await s.shared_pod()
    (listed,) = await s.list_containers(id=container)
    status = await s.status(container)
    for field in ("id", "metadata", "state", "created_at", "labels", "annotations"):
        equal(field, getattr(status, field), getattr(listed, field))
    equal("the pod", pod.id, listed.pod_sandbox_id)


@lists.check
async def containers_by_pod(s: Subject) -> None:
    """A filter by pod finds the containers in it."""
    pod = await s.pod()
    made = {await s.create(s.container_config(), pod) for _ in range(2)}
    equal("the containers", made, await _containers(s, pod_sandbox_id=pod.id))


@lists.check
async def containers_by_state(s: Subject) -> None:
    """A filter by state finds the containers in that state."""
    pod = await s.pod()
    created, running, ended = [await s.create(s.container_config(), pod) for _ in range(3)]
    for container in (running, ended):
        await s.start(container)
    await s.stop(ended)
    states = cri.ContainerState
    for state, container in (
        (states.CONTAINER_CREATED, created),
        (states.CONTAINER_RUNNING, running),
        (states.CONTAINER_EXITED, ended),
    ):
        equal(state.name or "", {container}, await _containers(s, pod_sandbox_id=pod.id, state=_state(state)))


@lists.check
async def containers_by_label_and_id(s: Subject) -> None:
    """A filter by labels and by id finds the containers that both hold for."""
    one = await s.create(s.container_config(labels={"which": "one"}))
    two = await s.create(s.container_config(labels={"which": "two"}))
    equal("by label", {one}, await _containers(s, label_selector={"which": "one"}))
    equal("by id", {two}, await _containers(s, id=two))
    equal("by both", set(), await _containers(s, id=two, label_selector={"which": "one"}))


@lists.check
async def streamed_pods(s: Subject) -> None:
    """StreamPodSandboxes has the same pods as the list, each once."""
    await s.shared_pod()
    wanted = cri.PodSandboxFilter(label_selector={RUN_LABEL: s.session.run}, id=(await s.shared_pod()).id)
    answers = s.runtime.stream_pod_sandboxes(cri.StreamPodSandboxesRequest(filter=wanted))
    equal("the pods", [(await s.shared_pod()).id], await _streamed(answers, "pod_sandboxes"))


@lists.check
async def streamed_containers(s: Subject) -> None:
    """StreamContainers has the same containers as the list, each once."""
    pod = await s.pod()
    made = sorted([await s.create(s.container_config(), pod) for _ in range(3)])
    wanted = cri.ContainerFilter(pod_sandbox_id=pod.id)
    answers = s.runtime.stream_containers(cri.StreamContainersRequest(filter=wanted))
    equal("the containers", made, sorted(await _streamed(answers, "containers")))


@lists.check
async def streamed_container_stats(s: Subject) -> None:
    """StreamContainerStats tells of the same containers as the list."""
    container = await s.shared_container()
    wanted = cri.ContainerStatsFilter(id=container)
    answers = s.runtime.stream_container_stats(cri.StreamContainerStatsRequest(filter=wanted))
    found = await _streamed(answers, "container_stats", "attributes")
    equal("the containers", [container], [each.id for each in found])  # type: ignore[attr-defined]


@lists.check
async def streamed_pod_stats(s: Subject) -> None:
    """StreamPodSandboxStats tells of the same pods as the list."""
    pod = await s.shared_pod()
    wanted = cri.PodSandboxStatsFilter(id=pod.id)
    answers = s.runtime.stream_pod_sandbox_stats(cri.StreamPodSandboxStatsRequest(filter=wanted))
    found = await _streamed(answers, "pod_sandbox_stats", "attributes")
    equal("the pods", [pod.id], [each.id for each in found])  # type: ignore[attr-defined]


@lists.check
async def streamed_pod_metrics(s: Subject) -> None:
    """StreamPodSandboxMetrics has metrics of a pod that runs."""
    pod = await s.shared_pod()
    answers = s.runtime.stream_pod_sandbox_metrics(cri.StreamPodSandboxMetricsRequest())
    found = await _streamed(answers, "pod_sandbox_metrics", "pod_sandbox_id")
    that(pod.id in found, "the pod", found)


@lists.check
async def streamed_images(s: Subject) -> None:
    """StreamImages has the image that was pulled."""
    request = cri.ImageStatusRequest(image=cri.ImageSpec(image=s.image))
    image = (await s.images.image_status(request)).image
    found = await _streamed(s.images.stream_images(cri.StreamImagesRequest()), "images")
    that(image and image.id in found, "the image", found)
