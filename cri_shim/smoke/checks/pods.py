"""RunPodSandbox, PodSandboxStatus, StopPodSandbox, RemovePodSandbox: the life of a pod."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import NotFound
from cri_shim.smoke.check import Capability, Failed
from cri_shim.smoke.configs import RUN_LABEL
from cri_shim.smoke.expect import equal, present, refused, that

if TYPE_CHECKING:
    from cri_shim.smoke.subject import Subject

pods = Capability("pods")
READY, NOT_READY = cri.PodSandboxState.SANDBOX_READY, cri.PodSandboxState.SANDBOX_NOTREADY
NOBODY = "f" * 64


@pods.check
async def status_tells_what_was_asked_for(s: Subject) -> None:
    """A pod that runs is READY, with the metadata, labels and annotations of its request."""
    before = time.time_ns()
    config = s.pod_config(labels={"shape": "round"}, annotations={"note/key": "any text: ✓"})
    pod = await s.pod(config)
    status = await s.pod_status(pod)
    equal("the id", pod.id, status.id)
    equal("the state", READY, status.state)
    equal("metadata", config.metadata, status.metadata)
    equal("labels", config.labels, status.labels)
    equal("annotations", config.annotations, status.annotations)
    that(abs(status.created_at - before) < 60e9, "a time of creation in nanoseconds, now", status.created_at)


@pods.check
async def status_tells_namespace_options(s: Subject) -> None:
    """The status tells the namespace options of the request."""
    status = await s.pod_status(await s.shared_pod())
    options = status.linux.namespaces.options if status.linux and status.linux.namespaces else None
    that(options and options.network == cri.NamespaceMode.POD, "the network to be the pod's", options)


@pods.check
async def verbose_status_explains(s: Subject) -> None:
    """A verbose PodSandboxStatus has details."""
    pod = await s.shared_pod()
    request = cri.PodSandboxStatusRequest(pod_sandbox_id=pod.id, verbose=True)
    info = (await s.runtime.pod_sandbox_status(request)).info
    that(info, "details in `info`", info)


@pods.check
async def handler_of_the_request_is_told(s: Subject) -> None:
    """The status tells the runtime handler that the pod was asked for with."""
    equal("the handler", s.session.handler, (await s.pod_status(await s.shared_pod())).runtime_handler)


@pods.check
async def unknown_handler_is_refused(s: Subject) -> None:
    """A pod of a runtime handler that there is not is refused, and nothing is left of it."""
    config = s.pod_config()
    request = cri.RunPodSandboxRequest(config=config, runtime_handler="no-such-handler")
    await refused(s.runtime.run_pod_sandbox(request), "an unknown handler")
    found = await s.list_pods(label_selector={RUN_LABEL: s.session.run})
    equal("no pod of that name", [], [each for each in found if each.metadata == config.metadata])


@pods.check
async def pod_without_metadata_is_refused(s: Subject) -> None:
    """A pod without a name is refused."""
    config = replace(s.pod_config(), metadata=None)
    await refused(s.runtime.run_pod_sandbox(cri.RunPodSandboxRequest(config=config)), "a pod without metadata")


@pods.check
async def same_pod_again_is_never_a_second_one(s: Subject) -> None:
    """The same request again is refused, or answered with the pod that there is."""
    pod = await s.pod()
    try:
        again = await s.runtime.run_pod_sandbox(
            cri.RunPodSandboxRequest(config=pod.config, runtime_handler=s.session.handler)
        )
    except Exception as error:  # noqa: BLE001  (whichever it is refused with)
        that("reserved" in str(error) or "exist" in str(error), "an error that says that there is one", error)
    else:
        equal("the same pod", pod.id, again.pod_sandbox_id)
    found = [each.id for each in await s.list_pods() if each.metadata == pod.config.metadata]
    equal("one pod", [pod.id], found)


@pods.check
async def next_attempt_is_another_pod(s: Subject) -> None:
    """The same pod with the next attempt number runs beside the first."""
    first = await s.pod()
    metadata = replace(present(first.config.metadata, "a name"), attempt=1)
    config = replace(first.config, metadata=metadata)
    second = await s.pod(config)
    that(first.id != second.id, "two ids", first.id)
    equal("the attempt", config.metadata, (await s.pod_status(second)).metadata)


@pods.check
async def stopped_pod_is_not_ready_and_keeps_its_status(s: Subject) -> None:
    """A pod that was stopped is NOTREADY and still listed; stopping it again succeeds."""
    pod = await s.pod()
    await s.stop_pod(pod)
    await s.stop_pod(pod)
    status = await s.pod_status(pod)
    equal("the state", NOT_READY, status.state)
    equal("metadata", pod.config.metadata, status.metadata)
    that(await s.list_pods(id=pod.id), "the pod in the list", "none")


@pods.check
async def stop_ends_the_containers(s: Subject) -> None:
    """StopPodSandbox ends the pod's containers, which keep their status."""
    pod = await s.pod()
    container = await s.run(s.container_config(), pod)
    await s.stop_pod(pod)
    equal("the state", cri.ContainerState.CONTAINER_EXITED, (await s.status(container)).state)


@pods.check
async def stopped_pod_takes_no_containers(s: Subject) -> None:
    """No container can be started in a pod that was stopped."""
    pod = await s.pod()
    await s.stop_pod(pod)

    async def run() -> str:
        return await s.run(s.container_config(), pod)

    await refused(run(), "a container in a stopped pod")


@pods.check
async def removed_pod_is_gone_with_its_containers(s: Subject) -> None:
    """RemovePodSandbox removes a pod and its containers; a second one succeeds."""
    pod = await s.pod()
    container = await s.run(s.container_config(), pod)
    await s.stop_pod(pod)
    await s.remove_pod(pod)
    await s.remove_pod(pod)
    equal("no such pod", [], await s.list_pods(id=pod.id))
    await refused(s.pod_status(pod), "a removed pod", NotFound)
    await refused(s.status(container), "its container", NotFound)
    equal("no such container", [], await s.list_containers(id=container))


@pods.check
async def running_pod_can_be_removed(s: Subject) -> None:
    """RemovePodSandbox of a pod that runs, with a container that runs, ends and removes them."""
    pod = await s.pod()
    await s.run(s.container_config(), pod)
    await s.remove_pod(pod)
    equal("no such pod", [], await s.list_pods(id=pod.id))


@pods.check
async def name_is_free_after_removal(s: Subject) -> None:
    """Once a pod is removed, the same name can be run again, as another pod."""
    pod = await s.pod()
    await s.stop_pod(pod)
    await s.remove_pod(pod)
    that((await s.pod(pod.config)).id != pod.id, "another id", pod.id)


@pods.check
async def missing_pod_is_not_found(s: Subject) -> None:
    """The status of a pod that is not there is NotFound."""
    request = cri.PodSandboxStatusRequest(pod_sandbox_id=NOBODY)
    await refused(s.runtime.pod_sandbox_status(request), "a pod that there is not", NotFound)


@pods.check
async def stop_and_remove_of_a_missing_pod_succeed(s: Subject) -> None:
    """Stopping and removing a pod that is not there succeed: whoever asks has what was wanted."""
    await s.runtime.stop_pod_sandbox(cri.StopPodSandboxRequest(pod_sandbox_id=NOBODY))
    await s.runtime.remove_pod_sandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=NOBODY))


@pods.check
async def short_id_is_enough(s: Subject) -> None:
    """The beginning of an id finds the pod, as people type it."""
    pod = await s.shared_pod()
    answer = await s.runtime.pod_sandbox_status(cri.PodSandboxStatusRequest(pod_sandbox_id=pod.id[:12]))
    equal("the id", pod.id, answer.status.id if answer.status else None)


@pods.check
async def several_pods_start_at_once(s: Subject) -> None:
    """Four pods that are asked for at the same time all run."""
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(s.pod)
    ready = await s.list_pods(label_selector={RUN_LABEL: s.session.run}, state=cri.PodSandboxStateValue(state=READY))
    made = s.pods_made()
    if missing := made - {pod.id for pod in ready}:
        raise Failed("four pods in the list, READY", f"{len(missing)} missing")


@pods.check
async def resources_of_the_pod_can_be_updated(s: Subject) -> None:
    """UpdatePodSandboxResources is taken for a pod that runs, and NotFound for one that there is not."""
    pod = await s.shared_pod()
    resources = cri.LinuxContainerResources(cpu_shares=512, memory_limit_in_bytes=256 << 20)

    async def update(pod_id: str) -> None:
        request = cri.UpdatePodSandboxResourcesRequest(pod_sandbox_id=pod_id, resources=resources)
        await s.runtime.update_pod_sandbox_resources(request)

    await update(pod.id)
    await refused(update(NOBODY), "a pod that there is not", NotFound)
