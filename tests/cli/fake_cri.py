"""A CRI server with one pod and one container, on a Unix socket: what the demo talks to."""

# ruff: noqa: ARG002  (the signatures are the CRI's)

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grpclib.server import Server

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import CriCodec
from cri_shim.observe.timeline import Step, Timeline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LOG = "2026-01-02T03:04:05.000000006Z stdout F Hello.\n2026-01-02T03:04:05.000000007Z stderr F And more.\n"


@dataclass
class Served:
    """The calls that came, by name, and the file that the container logs to."""

    log: Path
    timelines: bool = True
    exec_fails: bool = False
    calls: list[str] = field(default_factory=list)


class Runtime(cri.RuntimeServiceBase):
    """Answers as a runtime would whose only pod is `pod1`."""

    def __init__(self, served: Served) -> None:
        self._served = served

    async def version(self, message: cri.VersionRequest) -> cri.VersionResponse:
        return cri.VersionResponse(runtime_name="fake", runtime_version="1.2.3", runtime_api_version="v1")

    async def run_pod_sandbox(self, message: cri.RunPodSandboxRequest) -> cri.RunPodSandboxResponse:
        self._served.calls.append("run")
        return cri.RunPodSandboxResponse(pod_sandbox_id="pod1")

    async def create_container(self, message: cri.CreateContainerRequest) -> cri.CreateContainerResponse:
        return cri.CreateContainerResponse(container_id="c1")

    async def start_container(self, message: cri.StartContainerRequest) -> cri.StartContainerResponse:
        self._served.log.write_text(LOG)
        return cri.StartContainerResponse()

    async def pod_sandbox_status(self, message: cri.PodSandboxStatusRequest) -> cri.PodSandboxStatusResponse:
        network = cri.PodSandboxNetworkStatus(ip="10.1.2.3")
        return cri.PodSandboxStatusResponse(
            status=cri.PodSandboxStatus(id="pod1", network=network), info=self._info("RunPodSandbox", "CNI ADD")
        )

    async def container_status(self, message: cri.ContainerStatusRequest) -> cri.ContainerStatusResponse:
        return cri.ContainerStatusResponse(info=self._info("CreateContainer", "snapshot"))

    async def list_pod_sandbox(self, message: cri.ListPodSandboxRequest) -> cri.ListPodSandboxResponse:
        return cri.ListPodSandboxResponse(items=[_pod("pod0", "older", 1), _pod("pod1", "hello", 2)])

    async def list_containers(self, message: cri.ListContainersRequest) -> cri.ListContainersResponse:
        return cri.ListContainersResponse(containers=[cri.Container(id="c1")])

    async def exec_sync(self, message: cri.ExecSyncRequest) -> cri.ExecSyncResponse:
        if self._served.exec_fails:
            return await super().exec_sync(message)  # Unimplemented
        return cri.ExecSyncResponse(stdout=b"1: lo inet 127.0.0.1/8\n")

    async def stop_pod_sandbox(self, message: cri.StopPodSandboxRequest) -> cri.StopPodSandboxResponse:
        self._served.calls.append("stop")
        return cri.StopPodSandboxResponse()

    async def remove_pod_sandbox(self, message: cri.RemovePodSandboxRequest) -> cri.RemovePodSandboxResponse:
        self._served.calls.append("remove")
        return cri.RemovePodSandboxResponse()

    def _info(self, call: str, step: str) -> dict[str, str]:
        return (
            {"timeline": Timeline(call, steps=[Step(step, "main", 1, 2)]).to_json()} if self._served.timelines else {}
        )


def _pod(pod_id: str, name: str, created: int) -> cri.PodSandbox:
    metadata = cri.PodSandboxMetadata(name=name, namespace="default")
    return cri.PodSandbox(id=pod_id, metadata=metadata, created_at=created)


class Images(cri.ImageServiceBase):
    """Can pull every image, and has busybox."""

    async def pull_image(self, message: cri.PullImageRequest) -> cri.PullImageResponse:
        return cri.PullImageResponse(image_ref=message.image.image if message.image else "")

    async def image_status(self, message: cri.ImageStatusRequest) -> cri.ImageStatusResponse:
        if message.image is None or message.image.image != "busybox":
            return cri.ImageStatusResponse()
        info = {"timeline": Timeline("PullImage", steps=[Step("fetch", "layer 1234abcd", 1, 2)]).to_json()}
        return cri.ImageStatusResponse(image=cri.Image(id="sha256:1234"), info=info)


@asynccontextmanager
async def serving(served: Served, socket: Path) -> AsyncIterator[str]:
    """The endpoint, while it is served."""
    server = Server([Runtime(served), Images()], codec=CriCodec())
    await server.start(path=str(socket))
    try:
        yield f"unix://{socket}"
    finally:
        server.close()
        await server.wait_closed()
