"""The text of a leak: it says what kind of thing came or went."""

from __future__ import annotations

from integration.harness.leaks import difference


def test_nothing_is_said_when_nothing_has_changed() -> None:
    assert difference({"tasks": frozenset({"a"})}, {"tasks": frozenset({"a"})}) == ""


def test_what_came_and_what_went_is_listed_by_kind() -> None:
    before = {"mounts": frozenset({"/run/a", "/"}), "tasks": frozenset[str](), "leases": frozenset({"kept"})}
    after = {"mounts": frozenset({"/", "/run/b"}), "tasks": frozenset({"t"}), "leases": frozenset({"kept"})}
    assert difference(before, after) == "mounts:\n  + /run/b\n  - /run/a\ntasks:\n  + t"
