"""ListPodSandbox and StreamPodSandboxes: from memory alone, each item encoded once in its life."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import Encoded
from cri_shim.cri.chunks import chunks
from cri_shim.cri.selection import has_labels

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from cri_shim.cri.parts import Parts
    from cri_shim.state.sandbox import Sandbox


def list_pod_sandbox(parts: Parts, request: cri.ListPodSandboxRequest) -> Encoded[cri.ListPodSandboxResponse]:
    """The sandboxes that match every part of the filter that is given."""
    items = b"".join(sandbox.list_item() for sandbox in select_sandboxes(parts, request.filter))
    return Encoded(cri.ListPodSandboxResponse, items)


async def stream_pod_sandboxes(
    parts: Parts, request: cri.StreamPodSandboxesRequest
) -> AsyncIterator[Encoded[cri.StreamPodSandboxesResponse]]:
    """As `list_pod_sandbox`, in pieces: the sandboxes as they are when each piece is made."""
    items = (sandbox.list_item() for sandbox in select_sandboxes(parts, request.filter))
    for chunk in chunks(cri.StreamPodSandboxesResponse, items):
        yield chunk


def select_sandboxes(parts: Parts, wanted: cri.PodSandboxFilter | None) -> Iterator[Sandbox]:
    """The sandboxes that `wanted` asks for: all without a filter."""
    wanted = wanted or cri.PodSandboxFilter()
    full_id = parts.sandboxes.full_id(wanted.id)
    for sandbox in parts.sandboxes:
        if full_id and sandbox.id != full_id:
            continue
        if wanted.state is not None and sandbox.cri_state != wanted.state.state:
            continue
        if has_labels(sandbox.metadata.config.labels, wanted.label_selector):
            yield sandbox
