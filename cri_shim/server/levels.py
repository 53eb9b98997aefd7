"""At which level a call is logged: containerd's choice, so that a node's log stays readable.

What changes a pod is info, what a person or a probe asks for debug, what a kubelet asks every second trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cri_shim.observe.logging import trace

if TYPE_CHECKING:
    from collections.abc import Callable

_INFO = frozenset({
    "RunPodSandbox", "StopPodSandbox", "RemovePodSandbox", "CreateContainer", "StartContainer", "StopContainer",
    "RemoveContainer", "PortForward", "PullImage", "RemoveImage", "CheckpointContainer", "CheckpointPod", "RestorePod",
    "UpdateContainerResources", "UpdatePodSandboxResources",
})  # fmt: skip
_DEBUG = frozenset({
    "Exec", "Attach", "ExecSync", "ReopenContainerLog", "UpdateRuntimeConfig", "GetContainerEvents",
})  # fmt: skip


def level_of(rpc: str) -> Callable[..., None]:
    """A function of a logger, an event and its fields, that logs at the level of `rpc`."""
    if rpc in _INFO:
        return _info
    return _debug if rpc in _DEBUG else trace


def _info(logger: Any, event: str, **fields: Any) -> None:
    logger.info(event, **fields)


def _debug(logger: Any, event: str, **fields: Any) -> None:
    logger.debug(event, **fields)
