"""The way to containerd: its public gRPC services behind one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from cri_shim.containerd import requirements
from cri_shim.containerd.channel import PATIENCE_SECONDS, Channel
from cri_shim.containerd.containers import Containers
from cri_shim.containerd.content import Content
from cri_shim.containerd.diff import Diff
from cri_shim.containerd.events import Events
from cri_shim.containerd.images import Images
from cri_shim.containerd.introspection import Introspection, Version
from cri_shim.containerd.leases import Leases
from cri_shim.containerd.namespaces import Namespaces
from cri_shim.containerd.sandboxes import Sandboxes
from cri_shim.containerd.snapshots import Snapshots
from cri_shim.containerd.streaming import Streaming
from cri_shim.containerd.tasks import Tasks
from cri_shim.containerd.transfer import Transfer

if TYPE_CHECKING:
    from types import TracebackType

KUBERNETES = "k8s.io"


class Client:
    """containerd's services at the socket `address`, in one namespace; to be made while the event loop runs.

    There are two connections, each opened when first needed and again after a loss: one for calls, and one for what
    stays open (a Wait per process, the event stream, transfers). Apart, since opening a call costs time in proportion
    to the streams that are open on its connection.
    """

    def __init__(self, address: str, namespace: str = KUBERNETES, *, patience: float = PATIENCE_SECONDS) -> None:
        self.address = address
        self.namespace = namespace
        self._calls = calls = Channel(address, namespace, patience=patience)
        self._streams = streams = Channel(address, namespace, patience=patience)
        self.containers = Containers(calls)
        self.content = Content(calls)
        self.diff = Diff(streams)
        self.events = Events(calls, streams)
        self.images = Images(calls)
        self.introspection = Introspection(calls)
        self.leases = Leases(calls)
        self.namespaces = Namespaces(calls)
        self.sandboxes = Sandboxes(calls)
        self.snapshots = Snapshots(calls)
        self.streaming = Streaming(streams)
        self.tasks = Tasks(calls, streams)
        self.transfer = Transfer(streams)
        self.version = Version(calls)

    async def check(self) -> str:
        """The version of containerd, once it is known to be one that can be used.

        Raises FailedPrecondition with the reasons when it can't, Unavailable when it is not there.
        """
        version = (await self.version()).version
        requirements.check(self.address, version, await self.introspection.plugins())
        return version

    async def serves_cri(self) -> bool:
        """Whether its own CRI plugin is on, which would take our pods for its own."""
        found = await self.introspection.plugins("type==io.containerd.grpc.v1,id==cri")
        return any(not plugin.HasField("init_err") for plugin in found)

    def close(self) -> None:
        """Close both connections; calls under way end with Unavailable."""
        self._calls.close()
        self._streams.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def connect(address: str, namespace: str = KUBERNETES, *, patience: float = PATIENCE_SECONDS) -> Client:
    """A client of the containerd at `address`, which has been found fit; errors as with `Client.check`."""
    client = Client(address, namespace, patience=patience)
    try:
        await client.check()
    except BaseException:
        client.close()
        raise
    return client
