"""What containerd says of itself: its version, its plugins and which of them failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from google.protobuf.empty_pb2 import Empty

from cri_shim.api.containerd.services.introspection.v1 import introspection_pb2 as pb
from cri_shim.api.containerd.services.introspection.v1.introspection_grpc import IntrospectionStub
from cri_shim.api.containerd.services.version.v1.version_grpc import VersionStub

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.any_pb2 import Any

    from cri_shim.api.containerd.services.version.v1.version_pb2 import VersionResponse
    from cri_shim.containerd.channel import Channel


class Introspection:
    """The service `containerd.services.introspection.v1.Introspection`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stub = IntrospectionStub(channel.grpc)

    async def plugins(self, *filters: str) -> list[pb.Plugin]:
        """The plugins that match any of `filters`; all without one. One with `init_err` set is not in service."""
        return list((await self._channel.read(self._stub.Plugins, pb.PluginsRequest(filters=filters))).plugins)

    async def server(self) -> pb.ServerResponse:
        """The uuid and pid of containerd, and the deprecated features that its configuration uses."""
        return await self._channel.read(self._stub.Server, Empty())

    async def deprecations(self) -> dict[str, str]:
        """What this containerd has been used for that will be removed from it: its advice, by the warning's id."""
        # The generated types take the message's name for Python's own class of that name.
        warnings = cast("Iterable[pb.DeprecationWarning]", (await self.server()).deprecations)
        return {warning.id: warning.message for warning in warnings}

    async def plugin_info(self, type: str, id: str, options: Any | None = None) -> pb.PluginInfoResponse:  # noqa: A002
        """One plugin, and what it says for `options`; of a runtime, its version and OCI features."""
        request = pb.PluginInfoRequest(type=type, id=id, options=options)
        return await self._channel.read(self._stub.PluginInfo, request)


class Version:
    """The service `containerd.services.version.v1.Version`, callable: `await client.version()`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stub = VersionStub(channel.grpc)

    async def __call__(self) -> VersionResponse:
        """The version and revision of containerd."""
        return await self._channel.read(self._stub.Version, Empty())
