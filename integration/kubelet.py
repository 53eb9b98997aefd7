"""A kubelet-like client: pods and containers by the calls that a kubelet makes, in its order, with its configs.

Everything made through a `Kubelet` is known to it, so that a test can leave it to `remove_all`, which does what the
kubelet's clean-up does: stop and remove, twice if need be.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import anyio

from cri_shim.api.runtime import v1 as cri
from integration.harness.patience import patience

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import betterproto2

BUSYBOX = "registry.k8s.io/e2e-test-images/busybox:1.29-4"
SLEEP = ("sleep", "100000")
_EXEC = int(patience(10))  # seconds
_numbers = itertools.count(1)

M = TypeVar("M", bound="betterproto2.Message")


@dataclass(eq=False)
class Pod:
    """A sandbox that runs, and the config that it was asked for with."""

    id: str
    config: cri.PodSandboxConfig


@dataclass(eq=False)
class Kubelet:
    """The client; `log_root` is a directory of the node's, `node_root` where the node's files are seen from here.

    Pods whose config names no cgroup go below `cgroup_parent`.
    """

    runtime: cri.RuntimeServiceStub
    images: cri.ImageServiceStub
    node_root: str
    log_root: str = "/var/log/pods"
    cgroup_parent: str = ""
    pods: list[Pod] = field(default_factory=list)

    # ── pods ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def pod_config(
        self,
        name: str = "pod",
        *,
        host_network: bool = False,
        attempt: int = 0,
        labels: Mapping[str, str] | None = None,
        linux: cri.LinuxPodSandboxConfig | None = None,
    ) -> cri.PodSandboxConfig:
        """A config as the kubelet fills one; every call's is another pod's."""
        name = f"{name}-{next(_numbers)}"
        mode = cri.NamespaceMode.NODE if host_network else cri.NamespaceMode.POD
        linux = linux or cri.LinuxPodSandboxConfig(
            security_context=cri.LinuxSandboxSecurityContext(namespace_options=cri.NamespaceOption(network=mode))
        )
        linux.cgroup_parent = linux.cgroup_parent or self.cgroup_parent
        return cri.PodSandboxConfig(
            metadata=cri.PodSandboxMetadata(name=name, uid=f"uid-{name}", namespace="default", attempt=attempt),
            hostname="" if host_network else name,  # the kubelet leaves it out where the pod has no name of its own
            log_directory=f"{self.log_root}/default_{name}_uid-{name}",
            labels={"io.kubernetes.pod.name": name, **(labels or {})},
            annotations={"kubernetes.io/config.source": "api"},
            linux=linux,
        )

    async def run_pod(self, config: cri.PodSandboxConfig | None = None, *, handler: str = "") -> Pod:
        config = config or self.pod_config()
        request = cri.RunPodSandboxRequest(config=config, runtime_handler=handler)
        pod = Pod((await self.runtime.run_pod_sandbox(request)).pod_sandbox_id, config)
        self.pods.append(pod)
        return pod

    async def stop_pod(self, pod: Pod) -> None:
        await self.runtime.stop_pod_sandbox(cri.StopPodSandboxRequest(pod_sandbox_id=pod.id))

    async def remove_pod(self, pod: Pod) -> None:
        await self.runtime.remove_pod_sandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=pod.id))
        self.pods = [other for other in self.pods if other is not pod]

    async def pod_status(self, pod: Pod, *, verbose: bool = False) -> cri.PodSandboxStatusResponse:
        return await self.runtime.pod_sandbox_status(
            cri.PodSandboxStatusRequest(pod_sandbox_id=pod.id, verbose=verbose)
        )

    async def list_pods(self, wanted: cri.PodSandboxFilter | None = None) -> list[cri.PodSandbox]:
        return (await self.runtime.list_pod_sandbox(cri.ListPodSandboxRequest(filter=wanted))).items

    async def remove_all(self) -> None:
        for pod in list(self.pods):
            await self.stop_pod(pod)
            await self.remove_pod(pod)

    async def clean_up(self) -> None:
        """Remove every pod on the node, as a kubelet does with those that it doesn't know."""
        self.pods.clear()
        for pod in await self.list_pods():
            await self.runtime.stop_pod_sandbox(cri.StopPodSandboxRequest(pod_sandbox_id=pod.id))
            await self.runtime.remove_pod_sandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=pod.id))
        assert await self.list_containers() == []

    # ── containers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def container_config(
        self, command: Sequence[str] = SLEEP, name: str = "main", image: str = BUSYBOX, **fields: object
    ) -> cri.ContainerConfig:
        """A container of busybox that runs `command`; further `fields` go into the config as they are."""
        config = cri.ContainerConfig(
            metadata=cri.ContainerMetadata(name=name, attempt=0),
            image=cri.ImageSpec(image=image),
            command=list(command),
            log_path=f"{name}/0.log",
            labels={"io.kubernetes.container.name": name},
            linux=cri.LinuxContainerConfig(security_context=cri.LinuxContainerSecurityContext()),
        )
        for field_name, value in fields.items():
            setattr(config, field_name, value)
        return config

    async def create(self, pod: Pod, config: cri.ContainerConfig | None = None) -> str:
        request = cri.CreateContainerRequest(
            pod_sandbox_id=pod.id, config=config or self.container_config(), sandbox_config=pod.config
        )
        return (await self.runtime.create_container(request)).container_id

    async def start(self, container_id: str) -> None:
        await self.runtime.start_container(cri.StartContainerRequest(container_id=container_id))

    async def run(self, pod: Pod, config: cri.ContainerConfig | None = None) -> str:
        container_id = await self.create(pod, config)
        await self.start(container_id)
        return container_id

    async def stop(self, container_id: str, timeout: int = 0) -> None:
        await self.runtime.stop_container(cri.StopContainerRequest(container_id=container_id, timeout=timeout))

    async def remove(self, container_id: str) -> None:
        await self.runtime.remove_container(cri.RemoveContainerRequest(container_id=container_id))

    async def status(self, container_id: str) -> cri.ContainerStatus:
        answer = await self.runtime.container_status(cri.ContainerStatusRequest(container_id=container_id))
        assert answer.status is not None
        return answer.status

    async def list_containers(self, wanted: cri.ContainerFilter | None = None) -> list[cri.Container]:
        return (await self.runtime.list_containers(cri.ListContainersRequest(filter=wanted))).containers

    async def exec(self, container_id: str, *command: str, timeout: int = _EXEC) -> cri.ExecSyncResponse:
        request = cri.ExecSyncRequest(container_id=container_id, cmd=list(command), timeout=timeout)
        return await self.runtime.exec_sync(request)

    async def exited(self, container_id: str, seconds: float = 15) -> cri.ContainerStatus:
        """The status of a container once it has exited."""

        async def ended() -> cri.ContainerStatus | None:
            status = await self.status(container_id)
            return status if status.state == cri.ContainerState.CONTAINER_EXITED else None

        return await eventually(ended, seconds)

    # ── files and images ────────────────────────────────────────────────────────────────────────────────────────────

    def path(self, node_path: str) -> str:
        """Where a path of the node's is seen from here."""
        return os.path.join(self.node_root, node_path.lstrip("/"))

    async def log(self, container_id: str) -> list[str]:
        """The lines of a container's log file, as written."""
        path = self.path((await self.status(container_id)).log_path)
        return (await anyio.Path(path).read_text()).splitlines()

    async def pull(self, image: str) -> str:
        answer = await self.images.pull_image(cri.PullImageRequest(image=cri.ImageSpec(image=image)))
        return answer.image_ref

    async def image(self, image: str) -> cri.Image | None:
        answer = await self.images.image_status(cri.ImageStatusRequest(image=cri.ImageSpec(image=image)))
        return answer.image

    async def remove_image(self, image: str) -> None:
        await self.images.remove_image(cri.RemoveImageRequest(image=cri.ImageSpec(image=image)))


T = TypeVar("T")


async def eventually(probe: Callable[[], Awaitable[T | None]], seconds: float = 10) -> T:
    """The first result of `probe` that is not None; fails after `seconds`."""
    with anyio.fail_after(patience(seconds)):
        while (result := await probe()) is None:  # noqa: ASYNC110  (nothing tells us)
            await anyio.sleep(patience(0.02))
        return result
