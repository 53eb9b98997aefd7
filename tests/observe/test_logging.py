"""Every line of the log, a library's too, has the form and the least level that were set."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from cri_shim.observe.logging import LEVELS, configure, set_level, trace

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def parse(word: str) -> int:
    kept = word[::-1]
    return int(str(len(kept)) + "x")


def logged(level: str, form: str, stream: io.StringIO | None = None) -> io.StringIO:
    stream = stream or io.StringIO()
    configure(level, form, stream)
    return stream


def test_json_is_one_object_a_line_with_containerds_names() -> None:
    stream = logged("info", "json")
    structlog.get_logger().info("pod runs", pod="p1", path=io)
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {"level": "info", "msg": "pod runs", "pod": "p1", "path": str(io)}


def test_text_that_goes_to_a_file_is_logfmt() -> None:
    stream = logged("info", "text")
    structlog.get_logger().info("pod runs", pod="p1")
    assert 'level=info msg="pod runs" pod=p1\n' in stream.getvalue()
    assert stream.getvalue().startswith("time=")


def test_text_on_a_terminal_is_for_the_eye() -> None:
    stream = logged("info", "text", Terminal())
    structlog.get_logger().info("pod runs", pod="p1")
    assert "pod runs" in stream.getvalue()
    assert "msg=" not in stream.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_an_exception_is_logged_with_its_traceback_and_without_its_variables(
    form: str, stream: type[io.StringIO]
) -> None:
    out = logged("info", form, stream())
    try:
        parse("terces")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError" in out.getvalue()
    assert "secret" not in out.getvalue()


@pytest.mark.parametrize("level", [level for level in LEVELS if level != "trace"])
def test_what_is_below_the_level_is_not_logged(level: str) -> None:
    stream = logged(level, "json")
    for name in ("debug", "info", "warning", "error"):
        getattr(structlog.get_logger(), name)(name)
    shown = [json.loads(line)["msg"] for line in stream.getvalue().splitlines()]
    assert shown == ["debug", "info", "warning", "error"][["debug", "info", "warn", "error"].index(level) :]


def test_the_level_changes_for_loggers_that_are_in_use() -> None:
    stream, log = logged("info", "json"), structlog.get_logger()
    log.debug("before")
    set_level("debug")
    log.debug("while")
    set_level("error")
    log.info("after")
    assert [json.loads(line)["msg"] for line in stream.getvalue().splitlines()] == ["while"]


@pytest.mark.parametrize(("level", "shown"), [("trace", True), ("debug", False)])
def test_trace_is_a_level_below_debug(level: str, shown: bool) -> None:  # noqa: FBT001
    stream = logged(level, "json")
    trace(structlog.get_logger(), "asked every second", rpc="Status")
    assert ('"level":"trace"' in stream.getvalue()) is shown


def test_a_line_carries_what_is_bound_to_its_context() -> None:
    stream = logged("info", "json")
    with structlog.contextvars.bound_contextvars(pod="p1"):
        structlog.get_logger().info("working")
    assert json.loads(stream.getvalue())["pod"] == "p1"


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_field_that_is_a_credential_is_not_written(form: str) -> None:
    stream = logged("info", form)
    structlog.get_logger().info("pulling", password="terces", token="nekot", image="i")
    assert "terces" not in stream.getvalue()
    assert "nekot" not in stream.getvalue()
    assert "[REDACTED]" in stream.getvalue()


def test_a_library_is_heard_in_the_same_form() -> None:
    stream = logged("info", "json")
    logging.getLogger("grpclib").warning("lost %s", "it")
    assert json.loads(stream.getvalue()).items() >= {"level": "warning", "msg": "lost it"}.items()


@pytest.mark.parametrize(("level", "heard"), [("debug", False), ("trace", True)])
def test_a_librarys_debugging_is_heard_at_trace_alone_and_hpacks_never(level: str, heard: bool) -> None:  # noqa: FBT001
    stream = logged(level, "text")
    logging.getLogger("asyncio").debug("Using selector: %s", "x")
    logging.getLogger("hpack.hpack").debug("Decoding %s", "x")
    assert ("Using selector" in stream.getvalue()) is heard
    assert "Decoding" not in stream.getvalue()


def test_a_call_given_up_is_told_once() -> None:
    stream = logged("trace", "text")
    logging.getLogger("grpclib.server").info("Request was cancelled: %s", "reset")
    assert stream.getvalue() == ""


def test_a_line_stays_a_line() -> None:
    stream = logged("info", "text")
    structlog.get_logger().info("two\nlines", also="these\nhere")
    assert stream.getvalue().count("\n") == 1
