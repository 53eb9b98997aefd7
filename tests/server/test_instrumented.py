"""What goes on around a call: log lines with the call's names, its span, the end of its stream."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
import structlog
from grpclib.client import Channel
from grpclib.exceptions import GRPCError
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from cri_shim import errors
from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import CriCodec
from cri_shim.observe.timeline import step
from cri_shim.observe.tracing import set_tracer
from cri_shim.server.serve import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

TRACE = "0af7651916cd43dd8448eb211c80319c"
POD = cri.PodSandboxConfig(metadata=cri.PodSandboxMetadata(name="web", namespace="shop", uid="u1"))


class Verbose(cri.RuntimeServiceBase):
    """Logs and makes steps while it works, as verbs do."""

    def __init__(self) -> None:
        self.closed = anyio.Event()

    async def run_pod_sandbox(self, message: cri.RunPodSandboxRequest) -> cri.RunPodSandboxResponse:  # noqa: ARG002
        structlog.get_logger().info("working")
        with step("CNI ADD", lane="network"):
            return cri.RunPodSandboxResponse(pod_sandbox_id="p")

    async def list_containers(self, message: cri.ListContainersRequest) -> cri.ListContainersResponse:  # noqa: ARG002
        return cri.ListContainersResponse()

    async def container_status(self, message: cri.ContainerStatusRequest) -> cri.ContainerStatusResponse:
        raise errors.NotFound(f"container {message.container_id!r} does not exist")

    async def start_container(self, message: cri.StartContainerRequest) -> cri.StartContainerResponse:  # noqa: ARG002
        raise RuntimeError("a bug")

    async def get_container_events(
        self,
        message: cri.GetEventsRequest,  # noqa: ARG002
    ) -> AsyncIterator[cri.ContainerEventResponse]:
        try:
            yield cri.ContainerEventResponse(container_id="c")
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
                self.closed.set()


@pytest.fixture
def spans():
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    set_tracer(provider.get_tracer("test"))
    yield exporter
    set_tracer(None)


@contextmanager
def refused():
    with pytest.raises(GRPCError):
        yield


async def test_each_line_of_a_call_names_its_pod_whoever_writes_it_and_no_line_of_the_next(serving, log_as):
    stream = log_as("trace")
    async with serving(Verbose()) as served:
        await served.runtime.run_pod_sandbox(cri.RunPodSandboxRequest(config=POD))
        await served.runtime.list_containers(cri.ListContainersRequest())
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    found = [(line["level"], line["msg"], line.get("pod")) for line in lines]
    assert [line for line in found if line[0] != "debug"] == [
        ("info", "RunPodSandbox begins", "web"),
        ("info", "working", "web"),
        ("info", "RunPodSandbox", "web"),
        ("trace", "ListContainers begins", None),
        ("trace", "ListContainers", None),
    ]


async def test_a_call_continues_the_trace_of_its_caller_and_its_steps_are_parts_of_it(serving, spans):
    async with serving(Verbose()) as served:
        metadata = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        await served.runtime.run_pod_sandbox(cri.RunPodSandboxRequest(config=POD), metadata=metadata)
    part, call = spans.get_finished_spans()
    assert (call.name, call.kind) == ("runtime.v1.RuntimeService/RunPodSandbox", SpanKind.SERVER)
    assert f"{call.context.trace_id:032x}" == TRACE
    assert (part.name, part.parent.span_id) == ("CNI ADD", call.context.span_id)
    assert call.attributes == {
        "rpc.system": "grpc",
        "rpc.service": "runtime.v1.RuntimeService",
        "rpc.method": "RunPodSandbox",
        "rpc.grpc.status_code": 0,
        "sandbox.name": "web",
        "k8s.namespace.name": "shop",
        "k8s.pod.uid": "u1",
    }


class Images(cri.ImageServiceBase):
    """Pulls, and fails with all that it was told, as a registry's answer might."""

    async def pull_image(self, message: cri.PullImageRequest) -> cri.PullImageResponse:
        structlog.get_logger().debug("pulling", auth=message.auth, password=message.auth and message.auth.password)
        return cri.PullImageResponse(image_ref="x")


async def test_no_secret_of_a_pull_is_in_a_line_or_a_span(serving, log_as, spans):
    stream = log_as("trace")
    auth = cri.AuthConfig(
        username="wanda", password="s3cret", auth="s3cret", identity_token="s3cret", registry_token="s3cret"
    )
    async with serving(Images()) as served:
        await served.images.pull_image(cri.PullImageRequest(image=cri.ImageSpec(image="a:1"), auth=auth))
    (call,) = spans.get_finished_spans()
    assert call.attributes["image.ref"] == "a:1"
    assert "PullImage begins" in stream.getvalue()
    assert "s3cret" not in stream.getvalue() + call.to_json()


async def test_a_call_with_an_id_alone_is_told_of_by_names(settings, log_as, spans):
    stream = log_as("info")
    names = {"pod": "web", "namespace": "shop", "uid": "u1", "container": "main"}
    async with Server(settings, [Verbose()], lambda about: names if about.get("container_id") == "c" else {}) as server:
        server.ready()
        channel = Channel(path=settings.shim.address.removeprefix("unix://"), codec=CriCodec())
        with refused():
            await cri.RuntimeServiceStub(channel).start_container(cri.StartContainerRequest(container_id="c"))
        channel.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {"StartContainer begins", "StartContainer"} <= {line["msg"] for line in lines}
    assert all(
        {**names, "container_id": "c"}.items() <= line.items() for line in lines if "StartContainer" in line["msg"]
    )
    (call,) = spans.get_finished_spans()
    assert (call.attributes["sandbox.name"], call.attributes["container.name"]) == ("web", "main")


async def test_what_a_client_asked_wrongly_is_no_error_of_the_span_and_a_bug_is(serving, spans):
    async with serving(Verbose()) as served:
        with refused():
            await served.runtime.container_status(cri.ContainerStatusRequest(container_id="c"))
        with refused():
            await served.runtime.start_container(cri.StartContainerRequest(container_id="c"))
    missing, bug = spans.get_finished_spans()
    assert (missing.status.status_code, missing.attributes["rpc.grpc.status_code"]) == (StatusCode.UNSET, 5)
    assert (bug.status.status_code, bug.status.description) == (StatusCode.ERROR, "RuntimeError: a bug")
    assert bug.attributes["container.id"] == "c"


async def test_a_stream_that_its_client_leaves_is_closed_at_once(serving):
    service = Verbose()
    async with serving(service) as served:
        with anyio.fail_after(10):
            async for _ in served.runtime.get_container_events(cri.GetEventsRequest()):
                break
            served.channel.close()
            await service.closed.wait()
