"""The RPC table of the RuntimeService: each method one line, to its verb.

A method that is not here would answer Unimplemented, from the generated base; a test forbids any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri import events, runtime_config, status, update_runtime_config, version
from cri_shim.cri.container import (
    attach,
    checkpoint,
    create,
    exec_sync,
    remove,
    reopen_log,
    start,
    stop,
    update_resources,
)
from cri_shim.cri.container import exec as exec_
from cri_shim.cri.container import list as list_
from cri_shim.cri.container import stats as container_stats
from cri_shim.cri.container import status as container_status
from cri_shim.cri.sandbox import checkpoint as sandbox_checkpoint
from cri_shim.cri.sandbox import list as sandbox_list
from cri_shim.cri.sandbox import metrics as sandbox_metrics
from cri_shim.cri.sandbox import port_forward
from cri_shim.cri.sandbox import remove as sandbox_remove
from cri_shim.cri.sandbox import restore as sandbox_restore
from cri_shim.cri.sandbox import run as sandbox_run
from cri_shim.cri.sandbox import stats as sandbox_stats
from cri_shim.cri.sandbox import status as sandbox_status
from cri_shim.cri.sandbox import stop as sandbox_stop
from cri_shim.cri.sandbox import update_resources as sandbox_update_resources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.codec import Encoded
    from cri_shim.cri.parts import Parts
    from cri_shim.cri.remote_streams import StreamingUrls


class RuntimeService(cri.RuntimeServiceBase):
    """`runtime.v1.RuntimeService` on the parts of this node."""

    def __init__(self, parts: Parts, urls: StreamingUrls) -> None:
        self._parts = parts
        self._urls = urls

    async def version(self, message: cri.VersionRequest) -> cri.VersionResponse:  # noqa: ARG002
        return version.version(self._parts)

    async def status(self, message: cri.StatusRequest) -> cri.StatusResponse:
        return status.status(self._parts, message)

    async def runtime_config(self, message: cri.RuntimeConfigRequest) -> cri.RuntimeConfigResponse:  # noqa: ARG002
        return runtime_config.runtime_config(self._parts)

    async def update_runtime_config(self, message: cri.UpdateRuntimeConfigRequest) -> cri.UpdateRuntimeConfigResponse:
        return await update_runtime_config.update_runtime_config(self._parts, message)

    async def run_pod_sandbox(self, message: cri.RunPodSandboxRequest) -> cri.RunPodSandboxResponse:
        return await sandbox_run.run_pod_sandbox(self._parts, message)

    async def stop_pod_sandbox(self, message: cri.StopPodSandboxRequest) -> cri.StopPodSandboxResponse:
        return await sandbox_stop.stop_pod_sandbox(self._parts, message)

    async def remove_pod_sandbox(self, message: cri.RemovePodSandboxRequest) -> cri.RemovePodSandboxResponse:
        return await sandbox_remove.remove_pod_sandbox(self._parts, message)

    async def update_pod_sandbox_resources(
        self, message: cri.UpdatePodSandboxResourcesRequest
    ) -> cri.UpdatePodSandboxResourcesResponse:
        return await sandbox_update_resources.update_pod_sandbox_resources(self._parts, message)

    async def checkpoint_pod(self, message: cri.CheckpointPodRequest) -> cri.CheckpointPodResponse:
        return await sandbox_checkpoint.checkpoint_pod(self._parts, message)

    async def restore_pod(self, message: cri.RestorePodRequest) -> cri.RestorePodResponse:
        return await sandbox_restore.restore_pod(self._parts, message)

    async def pod_sandbox_status(self, message: cri.PodSandboxStatusRequest) -> cri.PodSandboxStatusResponse:
        return await sandbox_status.pod_sandbox_status(self._parts, message)

    async def list_pod_sandbox(  # type: ignore[override]  # its response is encoded already
        self, message: cri.ListPodSandboxRequest
    ) -> Encoded[cri.ListPodSandboxResponse]:
        return sandbox_list.list_pod_sandbox(self._parts, message)

    def stream_pod_sandboxes(  # type: ignore[override]
        self, message: cri.StreamPodSandboxesRequest
    ) -> AsyncIterator[Encoded[cri.StreamPodSandboxesResponse]]:
        return sandbox_list.stream_pod_sandboxes(self._parts, message)

    async def create_container(self, message: cri.CreateContainerRequest) -> cri.CreateContainerResponse:
        return await create.create_container(self._parts, message)

    async def start_container(self, message: cri.StartContainerRequest) -> cri.StartContainerResponse:
        return await start.start_container(self._parts, message)

    async def stop_container(self, message: cri.StopContainerRequest) -> cri.StopContainerResponse:
        return await stop.stop_container(self._parts, message)

    async def remove_container(self, message: cri.RemoveContainerRequest) -> cri.RemoveContainerResponse:
        return await remove.remove_container(self._parts, message)

    async def update_container_resources(
        self, message: cri.UpdateContainerResourcesRequest
    ) -> cri.UpdateContainerResourcesResponse:
        return await update_resources.update_container_resources(self._parts, message)

    async def list_containers(  # type: ignore[override]  # its response is encoded already
        self, message: cri.ListContainersRequest
    ) -> Encoded[cri.ListContainersResponse]:
        return list_.list_containers(self._parts, message)

    def stream_containers(  # type: ignore[override]
        self, message: cri.StreamContainersRequest
    ) -> AsyncIterator[Encoded[cri.StreamContainersResponse]]:
        return list_.stream_containers(self._parts, message)

    async def container_status(self, message: cri.ContainerStatusRequest) -> cri.ContainerStatusResponse:
        return await container_status.container_status(self._parts, message)

    async def checkpoint_container(self, message: cri.CheckpointContainerRequest) -> cri.CheckpointContainerResponse:
        return await checkpoint.checkpoint_container(self._parts, message)

    async def reopen_container_log(self, message: cri.ReopenContainerLogRequest) -> cri.ReopenContainerLogResponse:
        return await reopen_log.reopen_container_log(self._parts, message)

    async def exec(self, message: cri.ExecRequest) -> cri.ExecResponse:
        return exec_.prepare_exec(self._parts, self._urls, message)

    async def attach(self, message: cri.AttachRequest) -> cri.AttachResponse:
        return attach.prepare_attach(self._parts, self._urls, message)

    async def port_forward(self, message: cri.PortForwardRequest) -> cri.PortForwardResponse:
        return port_forward.prepare_port_forward(self._parts, self._urls, message)

    async def exec_sync(self, message: cri.ExecSyncRequest) -> cri.ExecSyncResponse:
        return await exec_sync.exec_sync(self._parts, message)

    def get_container_events(  # type: ignore[override]
        self, message: cri.GetEventsRequest
    ) -> AsyncIterator[Encoded[cri.ContainerEventResponse]]:
        return events.get_container_events(self._parts, message)

    async def container_stats(  # type: ignore[override]
        self, message: cri.ContainerStatsRequest
    ) -> Encoded[cri.ContainerStatsResponse]:
        return await container_stats.container_stats(self._parts, message)

    async def list_container_stats(  # type: ignore[override]
        self, message: cri.ListContainerStatsRequest
    ) -> Encoded[cri.ListContainerStatsResponse]:
        return await container_stats.list_container_stats(self._parts, message)

    def stream_container_stats(  # type: ignore[override]
        self, message: cri.StreamContainerStatsRequest
    ) -> AsyncIterator[Encoded[cri.StreamContainerStatsResponse]]:
        return container_stats.stream_container_stats(self._parts, message)

    async def pod_sandbox_stats(  # type: ignore[override]
        self, message: cri.PodSandboxStatsRequest
    ) -> Encoded[cri.PodSandboxStatsResponse]:
        return await sandbox_stats.pod_sandbox_stats(self._parts, message)

    async def list_pod_sandbox_stats(  # type: ignore[override]
        self, message: cri.ListPodSandboxStatsRequest
    ) -> Encoded[cri.ListPodSandboxStatsResponse]:
        return await sandbox_stats.list_pod_sandbox_stats(self._parts, message)

    def stream_pod_sandbox_stats(  # type: ignore[override]
        self, message: cri.StreamPodSandboxStatsRequest
    ) -> AsyncIterator[Encoded[cri.StreamPodSandboxStatsResponse]]:
        return sandbox_stats.stream_pod_sandbox_stats(self._parts, message)

    async def list_metric_descriptors(
        self,
        message: cri.ListMetricDescriptorsRequest,  # noqa: ARG002
    ) -> cri.ListMetricDescriptorsResponse:
        return sandbox_metrics.list_metric_descriptors()

    async def list_pod_sandbox_metrics(  # type: ignore[override]
        self,
        message: cri.ListPodSandboxMetricsRequest,  # noqa: ARG002
    ) -> Encoded[cri.ListPodSandboxMetricsResponse]:
        return await sandbox_metrics.list_pod_sandbox_metrics(self._parts)

    def stream_pod_sandbox_metrics(  # type: ignore[override]
        self,
        message: cri.StreamPodSandboxMetricsRequest,  # noqa: ARG002
    ) -> AsyncIterator[Encoded[cri.StreamPodSandboxMetricsResponse]]:
        return sandbox_metrics.stream_pod_sandbox_metrics(self._parts)
