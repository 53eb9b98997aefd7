"""OpenTelemetry spans of calls and of their steps, for an operator who asks for them.

As with containerd, the environment asks: OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) names a collector, and the
SDK reads the other variables of OpenTelemetry's. The libraries are the extra `tracing`. Until a tracer is set nothing
of theirs is imported, and a span costs a look at a variable.

Names and attributes: OpenTelemetry's semantic conventions for gRPC; those of pods are containerd's.
"""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grpclib.const import Status
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

log = structlog.get_logger(__name__)

_ASKING: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_ATTRIBUTES: Final = {
    "pod_sandbox_id": "sandbox.id",
    "pod": "sandbox.name",
    "namespace": "k8s.namespace.name",
    "uid": "k8s.pod.uid",
    "container_id": "container.id",
    "container": "container.name",
    "image": "image.ref",
}
_FAULTS: Final = frozenset({
    "UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
})  # fmt: skip

_NONE: Final = nullcontext()
_tracer: Tracer | None = None


def set_tracer(tracer: Tracer | None) -> None:
    """Make spans with `tracer` from now on; None for none."""
    global _tracer  # noqa: PLW0603  (as the log, one of the whole process)
    _tracer = tracer


@contextmanager
def exporting() -> Iterator[None]:
    """Send spans to the collector that the environment names, while the block lasts, and the last ones at its end.

    Blocks at the end for as long as the collector takes, 30 s at most. Where the libraries are missing, says so.
    """
    provider = _provider() if any(os.environ.get(name) for name in _ASKING) else None
    if provider is None:
        yield
        return
    set_tracer(provider.get_tracer("cri_shim"))
    try:
        yield
    finally:
        set_tracer(None)
        provider.shutdown()


def _provider() -> TracerProvider | None:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  (optional)
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  (as above)
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  (as above)
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  (as above)
    except ImportError as error:
        log.warning("no spans are sent: install cri-shim[tracing]", missing=str(error))
        return None
    name = os.environ.get("OTEL_SERVICE_NAME") or "cri-shim"
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def call_span(route: str, metadata: Mapping[str, Any] | None) -> AbstractContextManager[object]:
    """The span of a call of ours, `route` being `/package.Service/Method`; it continues the caller's trace, if any.

    The block's exceptions pass and leave no mark: `call_is_about` and `call_ended` say what there is to say.
    """
    return _NONE if _tracer is None else _server_span(_tracer, route, metadata or {})


def _server_span(tracer: Tracer, route: str, metadata: Mapping[str, Any]) -> AbstractContextManager[object]:
    from opentelemetry.propagate import extract  # noqa: PLC0415  (optional)
    from opentelemetry.trace import SpanKind  # noqa: PLC0415  (optional)

    name = route.removeprefix("/")
    service, _, method = name.partition("/")
    return tracer.start_as_current_span(
        name,
        context=extract(metadata),
        kind=SpanKind.SERVER,
        attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": method},
        record_exception=False,
        set_status_on_exception=False,
    )


def outgoing() -> tuple[tuple[str, str], ...]:
    """The headers by which a call that we make continues the trace of the span that it is made in; none without one."""
    return () if _tracer is None else _headers()


def _headers() -> tuple[tuple[str, str], ...]:
    from opentelemetry.propagate import inject  # noqa: PLC0415  (optional)

    carrier: dict[str, str] = {}
    inject(carrier)
    return tuple(carrier.items())


def call_is_about(fields: Mapping[str, str]) -> None:
    """Give the call's span the ids and names of its log lines."""
    if _tracer is not None:
        from opentelemetry.trace import get_current_span  # noqa: PLC0415  (optional)

        get_current_span().set_attributes({_ATTRIBUTES.get(name, name): value for name, value in fields.items()})


def call_ended(status: Status, text: str) -> None:
    """Give the call's span its end; what is the server's doing is an error, a NotFound is not."""
    if _tracer is not None:
        from opentelemetry.trace import StatusCode, get_current_span  # noqa: PLC0415  (optional)

        span = get_current_span()
        span.set_attribute("rpc.grpc.status_code", status.value)
        if status.name in _FAULTS:
            span.set_status(StatusCode.ERROR, text)


def step_span(name: str) -> AbstractContextManager[object]:
    """The span of a part of a call; an exception that ends it is recorded."""
    return _NONE if _tracer is None else _tracer.start_as_current_span(name)


def span_since(name: str, begin: float) -> None:
    """A span of a part of a call that began at `begin`, by `time.perf_counter`, and ends now."""
    if _tracer is not None:
        now = time.time_ns()
        since = now - round((time.perf_counter() - begin) * 1e9)
        _tracer.start_span(name, start_time=since).end(now)
