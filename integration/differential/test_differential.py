"""The same RunPodSandbox and CreateContainer on cri-shim and on containerd's own CRI: what containerd then holds of
them, and what both tell of them, is the same, but for the differences in `intended`.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest

from integration.differential import (
    devices,
    handlers,
    images,
    mounts,
    namespaces,
    pods,
    process,
    resources,
    security,
    settings,
)
from integration.differential.comparison import COMPARED, compared
from integration.differential.intended import INTENDED

if TYPE_CHECKING:
    from types import ModuleType

    from integration.differential.case import Case
    from integration.differential.sides import Found

pytestmark = [pytest.mark.anyio, pytest.mark.shim_only, pytest.mark.timeout(300)]  # it needs both; the first asks all

ASPECTS: tuple[ModuleType, ...] = (
    process, security, namespaces, mounts, devices, resources, images, handlers, pods, settings
)  # fmt: skip
CASES = [
    pytest.param(case, id=f"{aspect.__name__.rpartition('.')[2]}: {case.name}")
    for aspect in ASPECTS
    for case in aspect.CASES
]
LEAST = 150
SHOWN = 40  # differences of a case


SEEN = pytest.StashKey[set[str]]()  # the intended differences that there were


@pytest.mark.parametrize("wanted", CASES)
async def test_differential(request: pytest.FixtureRequest, answers: dict[Case, list[Found]], wanted: Case) -> None:
    ours, theirs = copy.deepcopy(answers[wanted])
    seen = request.config.stash.setdefault(SEEN, set())
    seen |= {difference.what for difference in INTENDED if difference.forgive(ours, theirs)}
    said = [found.pop("message") for found in (ours, theirs) if "message" in found]
    found = compared(ours, theirs)
    request.config.stash.setdefault(COMPARED, []).append(not found)
    if found:
        pytest.fail("\n".join([*found[:SHOWN], *(f"refusal: {text}" for text in said)]), pytrace=False)


def test_every_intended_difference_of_the_differential_is_there(request: pytest.FixtureRequest) -> None:
    if len(request.session.items) < len(CASES):
        pytest.skip("not all cases were chosen")
    assert {difference.what for difference in INTENDED} == request.config.stash[SEEN]


def test_the_differential_is_long_enough_and_its_names_are_unique() -> None:
    names = [case.id for case in CASES]
    assert len(set(names)) == len(names) >= LEAST
