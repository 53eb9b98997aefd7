"""PodSandboxStatus: from memory; only a verbose one asks containerd."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from anyio import to_thread

from cri_shim.api.containerd.types.task import task_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.cri import verbose
from cri_shim.cri.container.status import container_statuses_of
from cri_shim.cri.namespace_options import namespace_options
from cri_shim.errors import NotFound
from cri_shim.linux import netns
from cri_shim.state.go_json import to_json_value

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.sandbox import Sandbox


async def pod_sandbox_status(parts: Parts, request: cri.PodSandboxStatusRequest) -> cri.PodSandboxStatusResponse:
    """The status of a sandbox, its containers' with it; NotFound when there is none."""
    sandbox = parts.sandboxes.find(request.pod_sandbox_id)
    return cri.PodSandboxStatusResponse(
        status=pod_sandbox_status_of(sandbox),
        info=await _info(parts, sandbox) if request.verbose else {},
        containers_statuses=container_statuses_of(parts, sandbox.id),
        timestamp=time.time_ns(),
    )


def pod_sandbox_status_of(sandbox: Sandbox) -> cri.PodSandboxStatus:
    """What memory tells of a sandbox. The addresses go when the network goes: with the state READY."""
    metadata, config = sandbox.metadata, sandbox.metadata.config
    return cri.PodSandboxStatus(
        id=sandbox.id,
        metadata=config.metadata,
        state=sandbox.cri_state,
        created_at=sandbox.status.created_at,
        network=_network_status(sandbox),
        linux=cri.LinuxPodSandboxStatus(namespaces=cri.Namespace(options=namespace_options(config.linux))),
        labels=config.labels,
        annotations=config.annotations,
        runtime_handler=metadata.runtime_handler,
    )


def _network_status(sandbox: Sandbox) -> cri.PodSandboxNetworkStatus:
    metadata = sandbox.metadata
    if not metadata.netns_path or sandbox.network_down:
        return cri.PodSandboxNetworkStatus()
    return cri.PodSandboxNetworkStatus(
        ip=metadata.ip, additional_ips=[cri.PodIp(ip=ip) for ip in metadata.additional_ips]
    )


async def _info(parts: Parts, sandbox: Sandbox) -> dict[str, str]:
    metadata = sandbox.metadata
    record = process = None
    with suppress(NotFound):
        record = await parts.containerd.containers.get(sandbox.id)
    with suppress(NotFound):
        process = await parts.containerd.tasks.get(sandbox.id)
    closed = bool(metadata.netns_path) and not await to_thread.run_sync(netns.is_netns, metadata.netns_path)
    values: dict[str, object] = {
        "pid": sandbox.status.pid,
        "processStatus": task_pb2.Status.Name(process.status).lower() if process else "deleted",
        "netNamespaceClosed": closed,
        "image": record.image if record else "",
        "snapshotKey": record.snapshot_key if record else "",
        "snapshotter": record.snapshotter if record else "",
        "runtimeHandler": metadata.runtime_handler,
        "runtimeType": sandbox.runtime.name,
        "runtimeOptions": verbose.runtime_options(sandbox.runtime),
        "config": to_json_value(metadata.config),
        "runtimeSpec": verbose.raw_json(record.spec) if record else None,
        "cniResult": metadata.cni_result.to_json_value() if metadata.cni_result else None,
        "sandboxMetadata": verbose.raw_json(metadata.to_any()),
    }
    if sandbox.status.updated is not None:
        values["updatedResources"] = verbose.raw_json(sandbox.status.updated.to_any())
    found = verbose.info(values)
    if sandbox.timeline is not None:
        found["timeline"] = sandbox.timeline.to_json()
    return found
