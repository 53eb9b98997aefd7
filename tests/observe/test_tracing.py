"""Spans are made for an operator who asks for them, and cost nothing otherwise."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from cri_shim.observe import tracing
from cri_shim.observe.timeline import step


@pytest.fixture
def collector():
    """A collector of spans: what was posted to it, and where it is."""
    posted: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the test's output is the test's."""

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield posted, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_spans_go_to_the_collector_that_the_environment_names(collector, monkeypatch):
    posted, address = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    with tracing.exporting(), step("CNI ADD", lane="network"):
        pass
    [(path, body)] = posted
    assert path == "/v1/traces"
    assert b"CNI ADD" in body
    assert b"cri-shim" in body
    assert tracing.step_span("after the end") is tracing._NONE


def test_libraries_that_are_missing_are_named_and_nothing_else_suffers(monkeypatch, capsys):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with tracing.exporting(), step("CNI ADD"):
        pass
    assert "install cri-shim[tracing]" in capsys.readouterr().out


def test_nothing_of_the_libraries_is_imported_when_nobody_asks():
    program = """
        import sys
        from cri_shim.observe import tracing
        with tracing.exporting(), tracing.call_span("/a/B", {}), tracing.step_span("c"):
            tracing.call_is_about({"pod": "p"})
        print([name for name in sys.modules if name.startswith("opentelemetry")])
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env={}, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "[]\n"
