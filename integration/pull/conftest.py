"""A node of its own for pulls, given up early there, and a registry of the tests' own in it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from grpclib.client import Channel

from cri_shim.api.runtime import v1 as cri
from integration.harness.assembly import RunningNode, running_node
from integration.harness.containerd import Changes
from integration.harness.own_registry import OwnRegistry
from integration.images.content import File, Form, Image
from integration.images.store import Store
from integration.kubelet import Kubelet
from integration.pull.pulls import ARCHIVE, AT_ONCE, HOST, LAYER_SIZE, PORT, STALLED_AFTER, lead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CONFIG: dict[str, object] = {"Cmd": ["x"]}
_LAYERS = 6
_RUNTIMES = "plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes"
_MORE = f"""
[{_RUNTIMES}.copying]
  runtime_type = 'io.containerd.runc.v2'
  snapshotter = 'native'
[plugins.'io.containerd.transfer.v1.local']
  max_concurrent_downloads = {AT_ONCE}
[plugins.'io.cri-shim.v1']
  sandbox_image_archive = '{ARCHIVE}'
"""


def noise(size: int) -> bytes:
    """Bytes that don't compress, the same each time."""
    return random.Random(size).randbytes(size)


def image(name: str, form: Form = Form.OCI_INDEX, **more: Any) -> Image:
    return Image((f"{HOST}/{name}:1",), ((File("data", noise(LAYER_SIZE)),),), CONFIG, "", form, **more)


@pytest.fixture(scope="package")
def store() -> Store:
    forms = {form.name.lower(): form for form in Form}
    return Store(
        [
            image("plain"),
            Image((f"{HOST}/layers:1",), tuple((File(str(n), noise(1 << 18)),) for n in range(_LAYERS)), CONFIG, ""),
            *(image(f"form/{name}", form) for name, form in forms.items()),
            image("form/uncompressed", compressed=False),
            image("foreign/index", platform=("linux", "riscv64")),
            image("foreign/alone", Form.OCI, platform=("linux", "riscv64")),
        ]
    )


@pytest.fixture(scope="package")
def pulling(endpoint: str) -> Iterator[RunningNode]:
    """A node whose pulls are given up early."""
    changes = Changes(images={"image_pull_progress_timeout": f"{STALLED_AFTER}s"}, more=_MORE)
    with running_node(shim=endpoint == "shim", peer=endpoint != "shim", changes=changes) as node:
        yield node


@pytest.fixture
def registry(pulling: RunningNode, store: Store) -> Iterator[OwnRegistry]:
    with OwnRegistry(pulling.node, PORT, HOST, store) as registry:
        lead(pulling, registry.url)
        yield registry


@pytest.fixture
async def client(pulling: RunningNode) -> AsyncIterator[Kubelet]:
    """A client; in the end the images are as they were, and no lease or wrong bytes are left."""
    server = pulling.shim or pulling.peer
    assert server
    channel = Channel(path=str(server.socket))
    client = Kubelet(cri.RuntimeServiceStub(channel), cri.ImageServiceStub(channel), str(pulling.node.root))
    containerd = pulling.peer or pulling.containerd
    leases = containerd.ctr("leases", "list", "-q")
    try:
        yield client
        for item in (await client.images.list_images(cri.ListImagesRequest())).images:
            await client.remove_image(item.id)
        assert containerd.ctr("images", "list", "-q") == ""
        assert containerd.ctr("leases", "list", "-q") == leases
    finally:
        channel.close()
