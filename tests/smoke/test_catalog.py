"""The checks as a list: what is promised about their ids, and that the documentation has them all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cri_shim.smoke import deviations
from cri_shim.smoke.catalog import CAPABILITIES, CHECKS, chosen, listed, unmatched

DOCUMENT = Path(__file__).parents[2] / "docs" / "smoke.md"


def test_there_are_more_than_eighty_checks_of_every_capability() -> None:
    assert len(CHECKS) > 80
    assert [capability.name for capability in CAPABILITIES if not capability.checks] == []


def test_ids_are_unique_and_say_their_capability() -> None:
    ids = [check.id for check in CHECKS]
    assert len({*ids}) == len(ids)
    assert [
        each.id for each in CHECKS if not re.fullmatch(rf"{each.capability}\.[a-z0-9]+(-[a-z0-9]+)*", each.id)
    ] == []


def test_each_check_is_one_sentence() -> None:
    assert [check.id for check in CHECKS if not re.fullmatch(r"[A-Z/][^\n]*\.", check.sentence)] == []


def test_patterns_choose_by_id_and_by_capability() -> None:
    assert chosen([], []) == CHECKS
    assert {check.capability for check in chosen(["pods"], [])} == {"pods"}
    assert chosen(["pods"], []) == chosen(["pods.*"], [])
    assert [check.id for check in chosen(["stats", "pods"], ["stats.*", "pods.[!s]*"])] == [
        check.id for check in CHECKS if check.id.startswith("pods.s")
    ]


def test_a_pattern_that_matches_nothing_is_told_of() -> None:
    assert unmatched(["pods", "pod", "events.*", "events.nothing"]) == ["pod", "events.nothing"]


def test_known_deviations_are_of_checks_that_there_are() -> None:
    assert {each.check for each in deviations.KNOWN} <= {check.id for check in CHECKS}


def test_the_documentation_lists_the_checks_as_the_command_does() -> None:
    text = DOCUMENT.read_text()
    found = re.search(r"<!-- cri-shim smoke --list -->\n```\n(.*?)\n```", text, re.DOTALL)
    assert found, "docs/smoke.md has no list"
    assert found[1] == listed(CHECKS), "bring docs/smoke.md up to date: its list is that of `cri-shim smoke --list`"


def test_the_documentation_names_the_known_deviations_with_their_reasons() -> None:
    found = re.findall(r"^\| `(\S+)` \| (\S+)'s plugin \| it (.*) \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert found == [(each.check, each.product, each.reason) for each in deviations.KNOWN]


@pytest.mark.parametrize(
    ("product", "version", "skipped"),
    [
        ("containerd", "2.1.9", True),
        ("containerd", "2.2.0-rc.1", False),
        ("containerd", "?", False),
        ("cri-o", "1.0", False),
    ],
)
def test_a_deviation_holds_for_its_product_and_its_versions(product: str, version: str, *, skipped: bool) -> None:
    deviation = deviations.Deviation("pods.x", "can't", before=(2, 2))
    assert deviation.holds_for(product, version) is skipped
    assert deviations.Deviation("pods.x", "can't").holds_for(product, version) is (product == "containerd")
