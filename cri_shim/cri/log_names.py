"""What log lines call a pod and a container: a request may have an id alone, an operator looks for names."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from structlog.contextvars import bound_contextvars

from cri_shim.errors import CriError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container
    from cri_shim.state.sandbox import Sandbox


def names(parts: Parts, about: Mapping[str, Any]) -> dict[str, str]:
    """The names for the ids in `about`, as far as there are such a container and such a pod."""
    found: dict[str, str] = {}
    sandbox_id = about.get("pod_sandbox_id", "")
    with suppress(CriError):
        if container_id := about.get("container_id", ""):
            container = parts.containers.find(container_id)
            sandbox_id = container.metadata.sandbox_id
            found |= _of_container(container)
        if sandbox_id:
            found |= _of_sandbox(parts.sandboxes.find(sandbox_id))
    return found


def about_container(parts: Parts, container: Container) -> AbstractContextManager[object]:
    """In the block, and in the tasks started there, log lines name the container and its pod."""
    sandbox = parts.sandboxes.get(container.metadata.sandbox_id)
    pod = {} if sandbox is None else _of_sandbox(sandbox)
    return bound_contextvars(container_id=container.id, **_of_container(container), **pod)


def about_sandbox(sandbox: Sandbox) -> AbstractContextManager[object]:
    """In the block, and in the tasks started there, log lines name the pod."""
    return bound_contextvars(**_of_sandbox(sandbox))


def _of_container(container: Container) -> dict[str, str]:
    metadata = container.metadata.config.metadata
    return {"container": metadata.name} if metadata else {}


def _of_sandbox(sandbox: Sandbox) -> dict[str, str]:
    metadata = sandbox.metadata.config.metadata
    if metadata is None:
        return {"pod_sandbox_id": sandbox.id}
    return {
        "pod_sandbox_id": sandbox.id,
        "pod": metadata.name,
        "namespace": metadata.namespace,
        "uid": metadata.uid,
    }
