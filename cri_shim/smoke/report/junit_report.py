"""JUnit XML, as CI systems read it: a suite for each capability, a case for each check."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from cri_shim.smoke.check import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cri_shim.smoke.check import Outcome
    from cri_shim.smoke.report.result import Result

# What XML 1.0 has no form for (section 2.2); answers of an endpoint may hold anything.
_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(result: Result) -> str:
    """The document, with its declaration."""
    suites = ET.Element("testsuites", {"name": "cri-shim smoke", **_counts(result.outcomes, result.seconds)})
    for capability, outcomes in groupby(result.outcomes, lambda outcome: outcome.check.capability):
        suites.append(_suite(result, capability, tuple(outcomes)))
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _suite(result: Result, capability: str, outcomes: tuple[Outcome, ...]) -> ET.Element:
    counts = _counts(outcomes, sum(outcome.seconds for outcome in outcomes))
    suite = ET.Element("testsuite", {"name": capability, **counts})
    properties = ET.SubElement(suite, "properties")
    told = {"endpoint": result.endpoint, "runtime": result.runtime, "version": result.version, "image": result.image}
    for name, value in told.items():
        ET.SubElement(properties, "property", name=name, value=_clean(value))
    for outcome in outcomes:
        suite.append(_case(outcome))
    return suite


def _case(outcome: Outcome) -> ET.Element:
    check = outcome.check
    case = ET.Element("testcase", classname=f"cri.{check.capability}", name=check.id, time=f"{outcome.seconds:.3f}")
    if outcome.state is State.FAILED:
        failure = ET.SubElement(case, "failure", message=_clean(outcome.text), type="Failed")
        failure.text = _clean(f"{check.sentence}\nexpected: {outcome.expected}\ncame:     {outcome.came}")
    elif outcome.state is State.SKIPPED:
        ET.SubElement(case, "skipped", message=_clean(outcome.reason))
    return case


def _counts(outcomes: Iterable[Outcome], seconds: float) -> dict[str, str]:
    states = [outcome.state for outcome in outcomes]
    failed, skipped = states.count(State.FAILED), states.count(State.SKIPPED)
    numbers = {"tests": len(states), "failures": failed, "errors": 0, "skipped": skipped}
    return {**{name: str(number) for name, number in numbers.items()}, "time": f"{seconds:.3f}"}


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
