"""A plan as a person reads it: what, why, and the difference that it makes."""

from __future__ import annotations

import difflib
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cri_shim.install.values import Change, Plan


def shown(plan: Plan) -> str:
    """Lines of text; the differences are `diff -u`'s, so that `patch` takes them."""
    return "".join(f"{line}\n" for line in _lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    for command in plan.first:
        yield f"run {shlex.join(command)}"
    for change in plan.changes:
        yield f"{_verb(change)} {change.path}: {change.why}"
        yield from (f"    {line}" for line in _difference(change))
    for command in plan.commands:
        yield f"run {shlex.join(command)}"
    for note in plan.notes:
        yield f"note: {note}"


def _verb(change: Change) -> str:
    if change.after is None:
        return "remove"
    return "change" if change.before else "create"


def _difference(change: Change) -> Iterator[str]:
    for content in (change.before, change.after):
        if content is not None and content.link:
            yield f"{'-' if content is change.before else '+'} -> {content.link}"
    before, after = (content.text.splitlines() if content else [] for content in (change.before, change.after))
    yield from difflib.unified_diff(before, after, change.path, change.path, lineterm="")
