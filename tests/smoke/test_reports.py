"""The reports of a run: the same counts in all, and well-formed whatever an endpoint has answered."""

from __future__ import annotations

import io
import json
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cri_shim.smoke.check import Check, Outcome, State
from cri_shim.smoke.report import json_report, junit_report, table
from cri_shim.smoke.report.progress import Watcher
from cri_shim.smoke.report.result import Result


async def nothing(_: object) -> None:
    """Do nothing."""


def check(name: str) -> Check:
    return Check(name, name.partition(".")[0], f"The promise of {name}.", nothing)


def result(*outcomes: Outcome, **fields: object) -> Result:
    known = {"endpoint": "unix:///e", "runtime": "r", "version": "1", "run": "abc", "image": "own", "seconds": 1.5}
    return Result(outcomes=outcomes, **{**known, **fields})  # type: ignore[arg-type]


SOME = result(
    Outcome(check("pods.a"), State.PASSED, 0.25),
    Outcome(check("pods.b"), State.FAILED, 0.5, "the state <READY>", "[NOTREADY] :x: \x00\x1b[31m"),
    Outcome(check("logs.c"), State.SKIPPED, 0.125, reason="the endpoint does not implement it & so on"),
)


def test_junit_has_a_suite_for_each_capability_and_a_case_for_each_check() -> None:
    root = ET.fromstring(junit_report.document(SOME))
    assert {name: root.get(name) for name in ("tests", "failures", "skipped", "errors", "time")} == {
        "tests": "3",
        "failures": "1",
        "skipped": "1",
        "errors": "0",
        "time": "1.500",
    }
    assert [(suite.get("name"), suite.get("tests")) for suite in root] == [("pods", "2"), ("logs", "1")]
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert list(cases) == ["pods.a", "pods.b", "logs.c"]
    failure = cases["pods.b"].find("failure")
    assert failure is not None
    assert failure.get("message") == "expected the state <READY>; came [NOTREADY] :x: \ufffd\ufffd[31m"
    assert "The promise of pods.b." in (failure.text or "")
    skipped = cases["logs.c"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "the endpoint does not implement it & so on"


@given(st.text())
def test_whatever_an_endpoint_answers_the_files_are_well_formed(came: str) -> None:
    failed = result(Outcome(check("pods.a"), State.FAILED, 0, came, came), runtime=came)
    assert len(list(ET.fromstring(junit_report.document(failed)).iter("failure"))) == 1
    assert json.loads(json_report.document(failed))["checks"][0]["came"] == came


def test_json_has_the_counts_and_everything_of_each_check() -> None:
    told = json.loads(json_report.document(SOME))
    assert (told["passed"], told["failed"], told["skipped"], told["not_run"]) == (1, 1, 1, 0)
    assert told["runtime"] == {"name": "r", "version": "1"}
    assert [entry["state"] for entry in told["checks"]] == ["passed", "failed", "skipped"]
    assert told["checks"][1]["expected"] == "the state <READY>"
    assert told["checks"][2]["reason"].startswith("the endpoint does not")
    assert "came" not in told["checks"][0]


def test_the_table_shows_text_as_it_is_and_ends_with_the_counts() -> None:
    written = io.StringIO()
    table.show(SOME, Console(file=written, width=table.WIDTH))
    text = written.getvalue()
    assert "[NOTREADY] :x:" in text
    assert "1 passed, 1 failed, 1 skipped in 1.5 s" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("fields", "good"), [({}, True), ({"not_run": 1}, False), ({"left": ("pod x: it is stuck",)}, False)]
)
def test_a_run_is_good_when_all_was_run_and_removed(fields: dict[str, object], *, good: bool) -> None:
    assert result(Outcome(check("pods.a"), State.PASSED, 0), **fields).is_good is good


def test_without_a_terminal_each_check_is_a_line() -> None:
    written = io.StringIO()
    with Watcher(Console(file=written, width=40), 2) as watcher:
        for outcome in SOME.outcomes:
            watcher.began(outcome.check)
            watcher.ended(outcome)
    lines = written.getvalue().splitlines()
    assert lines[0] == "passed  pods.a (0.25 s)"
    assert lines[2] == "skipped logs.c (0.12 s): the endpoint does not implement it & so on"
    assert len(lines) == 3


def test_on_a_terminal_there_is_a_bar_and_failures_stay() -> None:
    written = io.StringIO()
    with Watcher(Console(file=written, width=200, force_terminal=True), 3) as watcher:
        for outcome in SOME.outcomes:
            watcher.began(outcome.check)
            watcher.ended(outcome)
    assert "3/3" in written.getvalue()
    assert "the state <READY>" in written.getvalue()
    assert "pods.a (0.25 s)" not in written.getvalue()
