"""What the runtime itself says of pods; the kubelet looks at that only every so often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
from grpclib import GRPCError
from grpclib.client import Channel
from grpclib.exceptions import StreamTerminatedError

from cri_shim.api.runtime import v1 as cri

if TYPE_CHECKING:
    from pathlib import Path

_NAME: Final = "io.kubernetes.pod.name"


def running_pods(socket: Path) -> set[str]:
    """The names of the pods of which anything runs. Raises `OSError` when nobody answers on `socket`."""
    return anyio.run(_running_pods, str(socket))


async def _running_pods(socket: str) -> set[str]:
    channel = Channel(path=socket)
    runtime = cri.RuntimeServiceStub(channel)
    ready = cri.PodSandboxStateValue(state=cri.PodSandboxState.SANDBOX_READY)
    running = cri.ContainerStateValue(state=cri.ContainerState.CONTAINER_RUNNING)
    try:
        sandboxes = await runtime.list_pod_sandbox(cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(state=ready)))
        containers = await runtime.list_containers(cri.ListContainersRequest(filter=cri.ContainerFilter(state=running)))
    except (GRPCError, StreamTerminatedError) as error:  # it starts, or stops
        raise OSError(str(error)) from error
    finally:
        channel.close()
    labels = [item.labels for item in sandboxes.items] + [item.labels for item in containers.containers]
    return {label.get(_NAME, "") for label in labels}
