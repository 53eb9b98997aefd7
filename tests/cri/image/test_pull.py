"""A pull, with a containerd that plays the Transfer service."""

from __future__ import annotations

from contextlib import asynccontextmanager, nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest

from cri_shim.api.containerd.services.images.v1.images_pb2 import Image
from cri_shim.api.containerd.types.descriptor_pb2 import Descriptor
from cri_shim.api.containerd.types.transfer.progress_pb2 import Progress
from cri_shim.api.containerd.types.transfer.registry_pb2 import AuthRequest, AuthResponse
from cri_shim.api.runtime import v1 as cri
from cri_shim.config.image_settings import RegistrySettings, TransferSettings
from cri_shim.containerd import typeurl
from cri_shim.cri.image.pull import pull_image
from cri_shim.cri.image.pulls import Pulls
from cri_shim.cri.image.registries import Registries
from cri_shim.errors import Canceled, InvalidArgument, NotFound
from cri_shim.oci.image import ImageConfig
from cri_shim.state.flights import Flights

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from google.protobuf.message import Message

pytestmark = pytest.mark.anyio

ID, TARGET = "sha256:" + "1" * 64, "sha256:" + "2" * 64
TAG = "docker.io/library/busybox:latest"
PAUSE = "registry.k8s.io/pause:3.10"


class Stream:
    """Both ends of a stream: what the fake put in comes out of the iteration, what we send is kept."""

    def __init__(self, id_: str) -> None:
        self.id = id_
        self._in, self._out = anyio.create_memory_object_stream[Any](100)
        self.sent, self._read = anyio.create_memory_object_stream[Any](100)

    def put(self, message: Message) -> None:
        self._in.send_nowait(typeurl.pack(message))

    async def send(self, message: Message) -> None:
        await self.sent.send(message)

    async def answer(self) -> Any:
        return await self._read.receive()

    def __aiter__(self) -> AsyncIterator[Any]:
        return aiter(self._out)

    def close(self) -> None:
        for end in (self._in, self._out, self.sent, self._read):
            end.close()


class FakeContainerd:
    def __init__(self) -> None:
        self.play: Callable[[dict[str, Stream]], Awaitable[None]] | None = None
        self.streams: dict[str, Stream] = {}
        self.transfers: list[tuple[Any, Any]] = []
        self.images = SimpleNamespace(get=self._get)
        self.streaming = SimpleNamespace(open=self._open)
        self.events = SimpleNamespace(publish=self._publish)
        self.told: list[tuple[str, Any]] = []
        self.leases = SimpleNamespace(temporary=lambda: nullcontext("lease"))

    @asynccontextmanager
    async def _open(self, purpose: str) -> AsyncIterator[Stream]:
        self.streams[purpose] = stream = Stream(purpose)
        yield stream
        stream.close()

    async def _publish(self, topic: str, event: Any) -> None:
        self.told.append((topic, event))

    async def _get(self, name: str) -> Image:
        return Image(name=name, target=Descriptor(digest=TARGET))

    async def transfer(self, source: Any, destination: Any, *, progress_stream: str, lease: str) -> None:
        assert (progress_stream, lease) == ("progress", "lease")
        self.transfers.append((source, destination))
        if self.play is not None:
            await self.play(self.streams)


class FakeStore:
    def __init__(self) -> None:
        self.named: dict[str, dict[str, str]] = {}
        self.config = ImageConfig(architecture="amd64", os="linux")

    def __contains__(self, name: str) -> bool:
        return name in self.named

    async def refresh(self, name: str) -> Any:  # noqa: ARG002
        return SimpleNamespace(id=ID, config=self.config, chain_id="")

    async def name_image(self, image: Image, labels: dict[str, str]) -> None:
        self.named[image.name] = labels


class Node:
    """The parts that a pull uses."""

    def __init__(self, flights: Flights) -> None:
        self.containerd, self.images, self.flights = FakeContainerd(), FakeStore(), flights
        self.pulls = Pulls()
        self.architecture = "amd64"
        self.registries = Registries("/nonexistent")
        self.registries.settings = RegistrySettings(headers={"X-Site": ("a", "b")})
        images = SimpleNamespace(
            snapshotter="overlayfs",
            pinned_images={"sandbox": PAUSE},
            discard_unpacked_layers=False,
            image_pull_progress_timeout=0.0,
            runtime_platforms={},
            disable_snapshot_annotations=True,
            image_pull_with_sync_fs=False,
        )
        self.settings = SimpleNamespace(images=images, transfer=TransferSettings())

    async def pull(self, name: str, auth: cri.AuthConfig | None = None) -> str:
        request = cri.PullImageRequest(image=cri.ImageSpec(image=name), auth=auth)
        return (await pull_image(cast("Any", self), request)).image_ref


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    async with anyio.create_task_group() as tasks:
        yield Node(Flights(tasks))
        tasks.cancel_scope.cancel()


async def test_the_answer_is_the_id_and_the_image_gets_its_three_names(node: Node) -> None:
    assert await node.pull("busybox") == ID
    assert list(node.images.named) == [ID, TAG, f"docker.io/library/busybox@{TARGET}"]
    assert set(map(str, node.images.named.values())) == {"{'io.cri-containerd.image': 'managed'}"}


async def test_the_transfer_unpacks_for_this_machine_into_the_snapshotter(node: Node) -> None:
    await node.pull("busybox")
    ((source, destination),) = node.containerd.transfers
    assert source.reference == destination.name == TAG
    assert source.resolver.headers == {"X-Site": "a, b"}
    assert source.resolver.auth_stream == "creds"
    assert [(u.platform.architecture, u.snapshotter) for u in destination.unpacks] == [("amd64", "overlayfs")]


async def test_only_a_pinned_images_reference_is_labelled_pinned(node: Node) -> None:
    await node.pull(PAUSE)
    assert node.images.named[PAUSE]["io.cri-containerd.pinned"] == "pinned"


async def test_equal_pulls_share_a_transfer_and_other_credentials_do_not(node: Node) -> None:
    going = anyio.Event()

    async def play(_: dict[str, Stream]) -> None:
        await going.wait()

    node.containerd.play = play
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(node.pull, "busybox")
        tasks.start_soon(node.pull, "busybox", cri.AuthConfig(username="me"))
        await anyio.sleep(0.05)
        assert len(node.containerd.transfers) == 2
        going.set()


async def test_a_client_that_gives_up_does_not_end_the_pull_for_another(node: Node) -> None:
    going = anyio.Event()

    async def play(_: dict[str, Stream]) -> None:
        await going.wait()

    node.containerd.play = play
    found = []

    async def patient() -> None:
        found.append(await node.pull("busybox"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(patient)
        with anyio.move_on_after(0.05):
            await node.pull("busybox")
        going.set()
    assert found == [ID]
    assert len(node.containerd.transfers) == 1


@pytest.mark.parametrize(
    ("auth", "answer"),
    [
        (None, AuthResponse(authType="REFRESH")),
        (
            cri.AuthConfig(username="me", password="pw"),
            AuthResponse(authType="CREDENTIALS", username="me", secret="pw"),
        ),
        (cri.AuthConfig(identity_token="tok"), AuthResponse(authType="REFRESH", secret="tok")),
        (cri.AuthConfig(auth="no base64"), AuthResponse(authType="REFRESH")),
    ],
)
async def test_every_question_for_credentials_is_answered(
    node: Node, auth: cri.AuthConfig | None, answer: AuthResponse
) -> None:
    answers = []

    async def play(streams: dict[str, Stream]) -> None:
        streams["creds"].put(AuthRequest(host="registry-1.docker.io"))
        answers.append(await streams["creds"].answer())

    node.containerd.play = play
    await node.pull("busybox", auth)
    assert answers == [answer]


async def test_a_download_that_stands_still_is_ended_with_the_settings_name(node: Node) -> None:
    async def play(streams: dict[str, Stream]) -> None:
        streams["progress"].put(Progress(event="downloading", name="layer-1", progress=5, total=10))
        await anyio.sleep(30)

    node.containerd.play = play
    node.settings.images.image_pull_progress_timeout = 0.1
    with anyio.fail_after(5), pytest.raises(Canceled, match=r"image_pull_progress_timeout \(0\.1 s\)"):
        await node.pull("busybox")


async def test_a_pull_that_ended_well_is_not_called_stalled_for_its_last_word(node: Node) -> None:
    async def play(streams: dict[str, Stream]) -> None:
        streams["progress"].put(Progress(event="downloading", name="layer-1", progress=5, total=10))
        await anyio.sleep(0.05)

    node.containerd.play = play
    node.settings.images.image_pull_progress_timeout = 0.08
    assert await node.pull("busybox") == ID


async def test_what_the_registry_says_names_the_image_and_keeps_its_kind(node: Node) -> None:
    async def play(_: dict[str, Stream]) -> None:
        raise NotFound("manifest unknown")

    node.containerd.play = play
    with pytest.raises(NotFound, match=f'^failed to pull image "{TAG}": manifest unknown$'):
        await node.pull("busybox")


@pytest.mark.parametrize("name", ["", "busybox/UPPER", "a" * 64, "busybox@sha256:1", "x:y:z/…"])
async def test_a_bad_reference_asks_containerd_for_nothing(node: Node, name: str) -> None:
    with pytest.raises(InvalidArgument):
        await node.pull(name)
    assert node.containerd.transfers == []
