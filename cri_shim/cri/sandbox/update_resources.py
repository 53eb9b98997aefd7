"""UpdatePodSandboxResources: what the kubelet has made of a pod's resources, on record.

The pod's cgroup is the kubelet's own; what it has changed there is noted for who asks, durably, where containerd's
plugin keeps it from 2.3 on. Source: containerd `internal/cri/server/sandbox_update_resources.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.containerd.types import sandbox_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.oci.resource_checks import check_resources
from cri_shim.state.metadata import RESOURCES_EXTENSION, UpdatedResources

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts


async def update_pod_sandbox_resources(
    parts: Parts, request: cri.UpdatePodSandboxResourcesRequest
) -> cri.UpdatePodSandboxResourcesResponse:
    """Note a pod's overhead and resources. Raises NotFound when there is none, InvalidArgument for what can't be."""
    sandbox = parts.sandboxes.find(request.pod_sandbox_id)
    for name, wanted in (("overhead", request.overhead), ("resources", request.resources)):
        if wanted is not None:
            check_resources(name, wanted)
    async with sandbox.lock:
        updated = UpdatedResources(request.overhead, request.resources)
        record = await parts.containerd.sandboxes.get(sandbox.id)
        change = sandbox_pb2.Sandbox(sandbox_id=sandbox.id, runtime=record.runtime)
        change.extensions[RESOURCES_EXTENSION].CopyFrom(updated.to_any())
        await parts.containerd.sandboxes.update(change, f"extensions.{RESOURCES_EXTENSION}")
        sandbox.update_status(updated=updated)
    return cri.UpdatePodSandboxResourcesResponse()
