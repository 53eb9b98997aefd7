"""At which level a call that went well is logged: containerd's choice, so that a node's log stays readable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_INFO = frozenset({
    "RunPodSandbox", "StopPodSandbox", "RemovePodSandbox", "CreateContainer", "StartContainer", "StopContainer",
    "RemoveContainer", "PortForward", "PullImage", "RemoveImage", "CheckpointContainer", "CheckpointPod", "RestorePod",
    "UpdateContainerResources", "UpdatePodSandboxResources",
})  # fmt: skip


def level_of(rpc: str) -> Callable[..., Any]:
    """A function of a logger, an event and its fields: info for what changes a pod, debug for the rest."""
    return _info if rpc in _INFO else _debug


def _info(logger: Any, event: str, **fields: Any) -> None:
    logger.info(event, **fields)


def _debug(logger: Any, event: str, **fields: Any) -> None:
    logger.debug(event, **fields)
