"""One client's session, by what it has negotiated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.streaming.protocols import SPDY_VERSIONS
from cri_shim.streaming.spdy_command import command_over_spdy
from cri_shim.streaming.spdy_ports import ports_over_spdy

if TYPE_CHECKING:
    from cri_shim.cri.remote_streams import RemoteRuntime
    from cri_shim.streaming.negotiation import Upgrade
    from cri_shim.streaming.tickets import Request
    from cri_shim.streaming.transport import Transport


@dataclass(frozen=True, slots=True)
class Session:
    """What was granted, and how it is spoken of; `first` are the bytes that came with the request."""

    transport: Transport
    first: bytes
    request: Request
    upgrade: Upgrade

    async def serve(self, runtime: RemoteRuntime) -> None:
        """Serve it to its end."""
        if isinstance(self.request, cri.PortForwardRequest):
            await ports_over_spdy(self.transport, self.first, runtime, self.request)
        else:
            version = SPDY_VERSIONS[self.upgrade.protocol]
            await command_over_spdy(self.transport, self.first, runtime, self.request, version)
