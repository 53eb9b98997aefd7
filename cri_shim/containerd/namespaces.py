"""containerd's namespaces: the partitions of its store. Kubernetes lives in `k8s.io`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.containerd.services.namespaces.v1 import namespace_pb2 as pb
from cri_shim.api.containerd.services.namespaces.v1.namespace_grpc import NamespacesStub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cri_shim.containerd.channel import Channel


class Namespaces:
    """The service `containerd.services.namespaces.v1.Namespaces`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stub = NamespacesStub(channel.grpc)

    async def get(self, name: str) -> pb.Namespace:
        """The namespace `name` with its labels (defaults of snapshotter and runtime), or NotFound."""
        return (await self._channel.read(self._stub.Get, pb.GetNamespaceRequest(name=name))).namespace

    async def list(self) -> list[pb.Namespace]:
        """All namespaces."""
        return list((await self._channel.read(self._stub.List, pb.ListNamespacesRequest())).namespaces)

    async def create(self, name: str, labels: Mapping[str, str] | None = None) -> pb.Namespace:
        """Make the namespace `name`; AlreadyExists when it is there."""
        request = pb.CreateNamespaceRequest(namespace=pb.Namespace(name=name, labels=labels))
        return (await self._channel.call(self._stub.Create, request)).namespace
