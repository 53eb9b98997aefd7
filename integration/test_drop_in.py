"""cri-shim on one socket with containerd's services: each call has the answer of whom it is for, unchanged."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from anyio import to_thread
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from cri_shim.api.containerd.services.containers.v1.containers_pb2 import GetContainerRequest, GetContainerResponse
from cri_shim.api.containerd.services.content.v1 import content_pb2 as content
from cri_shim.api.containerd.services.events.v1.events_pb2 import SubscribeRequest
from cri_shim.api.containerd.services.version.v1.version_pb2 import VersionResponse
from cri_shim.api.containerd.types.event_pb2 import Envelope
from cri_shim.api.runtime import v1 as cri
from integration.harness.containerd import MAIN, NAMESPACE
from integration.harness.shim import SOCKET
from integration.kubelet import BUSYBOX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet

pytestmark = [pytest.mark.anyio, pytest.mark.shim_only]

METADATA = (("containerd-namespace", NAMESPACE), ("x-bin", b"\x00\xff"))
WRITTEN = bytes(range(256)) * 8192  # 2 MiB
CRI, CONTAINERD = "cri", "containerd"


@pytest.fixture(scope="module", autouse=True)
def passing_through(running: RunningNode) -> Iterator[None]:
    """cri-shim with containerd's services, while these tests last."""
    assert running.shim
    configuration = running.node.path(MAIN.config)
    before = configuration.read_text()
    configuration.write_text(before + "\n[plugins.'io.cri-shim.v1']\n  pass_through = true\n")
    running.shim.daemon.restart()
    yield
    configuration.write_text(before)
    running.shim.daemon.restart()


@contextmanager
def dialled(running: RunningNode, begin: str = CONTAINERD) -> Iterator[grpc.Channel]:
    """A client of gRPC's own on a connection of its own, whose first call is of the CRI or of containerd."""
    assert running.shim
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 32 << 20)]
    with closing(grpc.insecure_channel(f"unix://{running.shim.socket}", options)) as channel:
        assert (cri_version if begin == CRI else containerd_version)(channel)
        yield channel


def method(channel: grpc.Channel, kind: str, path: str, answer: Any) -> Any:
    """A call of the channel, for messages of either library."""
    parse = answer.FromString if issubclass(answer, Message) else answer.parse
    return getattr(channel, kind)(path, request_serializer=_encoded, response_deserializer=parse)


def _encoded(message: Any) -> bytes:
    return message.SerializeToString() if isinstance(message, Message) else bytes(message)


def cri_version(channel: grpc.Channel) -> str:
    call = method(channel, "unary_unary", "/runtime.v1.RuntimeService/Version", cri.VersionResponse)
    return str(call(cri.VersionRequest(), timeout=20).runtime_name)


def containerd_version(channel: grpc.Channel) -> str:
    path = "/containerd.services.version.v1.Version/Version"
    call = method(channel, "unary_unary", path, VersionResponse)
    return str(call(Empty(), timeout=20, metadata=METADATA).version)


async def test_containerds_own_client_finds_all_that_it_finds_at_containerd(
    running: RunningNode,
    kubelet: Kubelet,  # noqa: ARG001  (it pulls)
) -> None:
    def said(address: str, *arguments: str) -> str:
        return running.node.run(["ctr", "--address", address, "--namespace", NAMESPACE, *arguments]).stdout

    for arguments in (
        ["version"],
        ["images", "list"],
        ["snapshots", "list"],
        ["plugins", "list"],
        ["namespaces", "list"],
    ):
        assert said(SOCKET, *arguments) == said(MAIN.socket, *arguments)
    for address, file in ((SOCKET, "/tmp/through.tar"), (MAIN.socket, "/tmp/direct.tar")):
        said(address, "images", "export", "--local", file, BUSYBOX)
    assert running.node.path("/tmp/through.tar").read_bytes() == running.node.path("/tmp/direct.tar").read_bytes()
    said(SOCKET, "images", "import", "--local", "--no-unpack", "/tmp/through.tar")


@pytest.mark.parametrize("begin", [CRI, CONTAINERD])
def test_both_kinds_of_calls_are_answered_on_one_channel(running: RunningNode, begin: str) -> None:
    with dialled(running, begin) as channel:
        for _ in range(3):
            assert cri_version(channel) == "containerd"
            assert containerd_version(channel).lstrip("v")[0].isdigit()


@pytest.mark.parametrize("begin", [CRI, CONTAINERD])
def test_a_status_comes_through_with_its_message_and_metadata(running: RunningNode, begin: str) -> None:
    path = "/containerd.services.containers.v1.Containers/Get"

    def refusal(channel: grpc.Channel) -> tuple[object, ...]:
        call = method(channel, "unary_unary", path, GetContainerResponse)
        with pytest.raises(grpc.RpcError) as raised:
            call(GetContainerRequest(id="no-such"), timeout=20, metadata=METADATA)
        error: Any = raised.value
        return error.code(), error.details(), error.initial_metadata(), error.trailing_metadata()

    with (
        dialled(running, begin) as through,
        closing(grpc.insecure_channel(f"unix://{running.containerd.socket}")) as direct,
    ):
        assert refusal(through) == refusal(direct)
        assert refusal(through)[0] is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("begin", [CRI, CONTAINERD])
def test_streams_of_large_messages_go_both_ways(running: RunningNode, begin: str) -> None:
    requests = [
        content.WriteContentRequest(
            action=content.WriteAction.WRITE, ref=f"through-{begin}", offset=at, data=WRITTEN[at : at + 900_000]
        )
        for at in range(0, len(WRITTEN), 900_000)
    ]
    requests.append(
        content.WriteContentRequest(
            action=content.WriteAction.COMMIT, ref=f"through-{begin}", offset=len(WRITTEN), total=len(WRITTEN)
        )
    )
    with dialled(running, begin) as channel:
        write = method(
            channel, "stream_stream", "/containerd.services.content.v1.Content/Write", content.WriteContentResponse
        )
        digest = list(write(iter(requests), timeout=60, metadata=METADATA))[-1].digest
        read = method(
            channel, "unary_stream", "/containerd.services.content.v1.Content/Read", content.ReadContentResponse
        )
        answers = list(read(content.ReadContentRequest(digest=digest), timeout=60, metadata=METADATA))
        assert b"".join(answer.data for answer in answers) == WRITTEN
        delete = method(channel, "unary_unary", "/containerd.services.content.v1.Content/Delete", Empty)
        delete(content.DeleteContentRequest(digest=digest), timeout=20, metadata=METADATA)


@pytest.mark.parametrize("begin", [CRI, CONTAINERD])
async def test_events_are_heard_as_they_happen_until_the_deadline(
    running: RunningNode, kubelet: Kubelet, begin: str
) -> None:
    with dialled(running, begin) as channel:
        subscribe = method(channel, "unary_stream", "/containerd.services.events.v1.Events/Subscribe", Envelope)
        heard: list[str] = []
        ends: list[grpc.StatusCode] = []

        def listen() -> None:
            try:
                heard.extend(each.topic for each in subscribe(SubscribeRequest(), timeout=4, metadata=METADATA))
            except grpc.RpcError as error:
                ends.append(error.code())

        listener = threading.Thread(target=listen)
        listener.start()
        await kubelet.run_pod()
        await to_thread.run_sync(listener.join)
        assert "/tasks/start" in heard
        assert ends == [grpc.StatusCode.DEADLINE_EXCEEDED]


@pytest.mark.parametrize("begin", [CRI, CONTAINERD])
def test_without_containerd_calls_for_it_are_unavailable_and_with_it_they_are_answered_again(
    running: RunningNode, begin: str
) -> None:
    with dialled(running, begin) as channel:
        running.containerd.daemon.stop()
        try:
            with pytest.raises(grpc.RpcError) as raised:
                containerd_version(channel)
        finally:
            running.containerd.daemon.start()
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        call = method(channel, "unary_unary", "/containerd.services.version.v1.Version/Version", VersionResponse)
        assert call(Empty(), timeout=30, wait_for_ready=True).version
        assert cri_version(channel) == "containerd"


def test_what_is_no_grpc_is_hung_up_on(running: RunningNode) -> None:
    assert running.shim
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(running.shim.socket))
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while client.recv(100):
            pass
