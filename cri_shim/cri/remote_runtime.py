"""The runtime at the far end of clients' sessions: each of them one line, to its verb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.cri.container.attach import run_attach
from cri_shim.cri.container.exec import run_exec
from cri_shim.cri.sandbox.port_forward import run_port_forward

if TYPE_CHECKING:
    from anyio.abc import ByteStream

    from cri_shim.api.runtime import v1 as cri
    from cri_shim.cri.parts import Parts
    from cri_shim.cri.remote_streams import RemoteStreams


@dataclass(frozen=True)
class NodeRuntime:
    """`RemoteRuntime` on the parts of this node."""

    parts: Parts

    async def exec(self, request: cri.ExecRequest, streams: RemoteStreams) -> int:
        """A command in a container, as asked for by the Exec RPC."""
        return await run_exec(self.parts, request, streams)

    async def attach(self, request: cri.AttachRequest, streams: RemoteStreams) -> None:
        """A client at a container's main process."""
        await run_attach(self.parts, request, streams)

    async def port_forward(self, pod_sandbox_id: str, port: int, stream: ByteStream) -> None:
        """A connection to a port of a pod."""
        await run_port_forward(self.parts, pod_sandbox_id, port, stream)
