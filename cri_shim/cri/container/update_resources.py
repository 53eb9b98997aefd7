"""UpdateContainerResources: the limits in the spec, then those of the task if it runs, then the status.

The spec is what the limits are taken from when a container starts, and what they are found in after a restart of ours.
A task that doesn't take them has the old spec back.
Source: containerd `internal/cri/server/container_update_resources.go`, `container_update_resources_linux.go`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from google.protobuf import any_pb2

from cri_shim.api.containerd.services.containers.v1 import containers_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.container.checkpointed import checkpointed
from cri_shim.errors import NotFound, Unknown
from cri_shim.oci.policy import Policy
from cri_shim.oci.resource_checks import check_resources
from cri_shim.oci.resources import resources_of, updated, with_resources
from cri_shim.oci.spec import RESOURCES_TYPE_URL, Spec, from_json, to_json
from cri_shim.state.undo import Undo

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container


async def update_container_resources(
    parts: Parts, request: cri.UpdateContainerResourcesRequest
) -> cri.UpdateContainerResourcesResponse:
    """Change the limits of a container, running or not; what isn't given stays, the OOM score always.

    Raises NotFound when there is none, InvalidArgument for limits that can't be, Unknown (as containerd's plugin) for
    one that is being removed, and what the runtime answers.
    """
    container = parts.containers.find(request.container_id)
    if request.linux is not None:
        check_resources("linux", request.linux)
    async with container.lock:
        if container.removing:
            raise Unknown(f"container {container.id} is being removed")
        await _update(parts, container, request)
    return cri.UpdateContainerResourcesResponse()


async def _update(parts: Parts, container: Container, request: cri.UpdateContainerResourcesRequest) -> None:
    record = await parts.containerd.containers.get(container.id)
    before = record.spec
    spec = updated(from_json(before.value, Spec), request.linux, _policy(parts), parts.facts)
    after = any_pb2.Any(type_url=before.type_url, value=with_resources(before.value, spec))
    async with Undo(f"UpdateContainerResources {container.metadata.name}") as undo:
        undo.push("spec", lambda: _store(parts, container, before))
        await _store(parts, container, after)
        if container.running:
            with suppress(NotFound):  # it has just ended
                await parts.containerd.tasks.update(container.id, _limits(spec))
    with anyio.CancelScope(shield=True):  # the limits are in force
        await checkpointed(parts, container, resources=resources_of(spec))


def _policy(parts: Parts) -> Policy:
    """What the node's settings make of limits; those of the handler have nothing to say to them."""
    runtime = parts.settings.runtime
    return Policy(
        tolerate_missing_hugetlb_controller=runtime.tolerate_missing_hugetlb_controller,
        disable_hugetlb_controller=runtime.disable_hugetlb_controller,
    )


async def _store(parts: Parts, container: Container, spec: any_pb2.Any) -> None:
    await parts.containerd.containers.update(containers_pb2.Container(id=container.id, spec=spec), "spec")


def _limits(spec: Spec) -> any_pb2.Any:
    assert spec.linux is not None  # noqa: S101  (`updated` has put it there)
    assert spec.linux.resources is not None  # noqa: S101
    return any_pb2.Any(type_url=RESOURCES_TYPE_URL, value=to_json(spec.linux.resources))
