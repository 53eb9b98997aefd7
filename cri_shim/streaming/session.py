"""One client's session, by what it has negotiated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.streaming.protocols import SPDY_VERSIONS, WEBSOCKET_COMMANDS, WEBSOCKET_PORTS
from cri_shim.streaming.spdy_command import command_over_spdy
from cri_shim.streaming.spdy_ports import ports_over_spdy

if TYPE_CHECKING:
    from cri_shim.cri.remote_streams import RemoteRuntime
    from cri_shim.streaming.negotiation import Upgrade
    from cri_shim.streaming.remote_command import CommandRequest
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
            await self._ports(runtime, self.request)
        else:
            await self._command(runtime, self.request)

    async def _command(self, runtime: RemoteRuntime, request: CommandRequest) -> None:
        if not self.upgrade.websocket:
            version = SPDY_VERSIONS[self.upgrade.protocol]
            await command_over_spdy(self.transport, self.first, runtime, request, version)
            return
        from cri_shim.streaming.websocket_command import command_over_websocket  # noqa: PLC0415  (60 ms to import)

        channels = WEBSOCKET_COMMANDS[self.upgrade.protocol]
        await command_over_websocket(self.transport, self.first, runtime, request, channels)

    async def _ports(self, runtime: RemoteRuntime, request: cri.PortForwardRequest) -> None:
        if not self.upgrade.websocket:
            await ports_over_spdy(self.transport, self.first, runtime, request)
            return
        from cri_shim.streaming.websocket_ports import ports_over_channels, tunnelled_ports  # noqa: PLC0415  (as above)

        channels = WEBSOCKET_PORTS[self.upgrade.protocol]
        if channels is None:
            await tunnelled_ports(self.transport, self.first, runtime, request)
        else:
            await ports_over_channels(self.transport, self.first, runtime, request, channels)
