"""ListContainers and StreamContainers: from memory alone, each item encoded once between two changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import Encoded
from cri_shim.cri.chunks import chunks
from cri_shim.cri.selection import has_labels

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container


def list_containers(parts: Parts, request: cri.ListContainersRequest) -> Encoded[cri.ListContainersResponse]:
    """The containers that match every part of the filter that is given."""
    items = b"".join(container.list_item() for container in select_containers(parts, request.filter))
    return Encoded(cri.ListContainersResponse, items)


async def stream_containers(
    parts: Parts, request: cri.StreamContainersRequest
) -> AsyncIterator[Encoded[cri.StreamContainersResponse]]:
    """As `list_containers`, in pieces: the containers as they are when each piece is made."""
    items = (container.list_item() for container in select_containers(parts, request.filter))
    for chunk in chunks(cri.StreamContainersResponse, items):
        yield chunk


def select_containers(parts: Parts, wanted: cri.ContainerFilter | None) -> Iterator[Container]:
    """The containers that `wanted` asks for: all without a filter."""
    wanted = wanted or cri.ContainerFilter()
    full_id = parts.containers.full_id(wanted.id)
    sandbox_id = parts.sandboxes.full_id(wanted.pod_sandbox_id)
    for container in parts.containers:
        if full_id and container.id != full_id:
            continue
        if sandbox_id and container.metadata.sandbox_id != sandbox_id:
            continue
        if wanted.state is not None and container.status.state != wanted.state.state:
            continue
        if has_labels(container.metadata.config.labels, wanted.label_selector):
            yield container
