"""Patterns as Go's `path.Match` reads them: `*` and `?` don't cross a slash, classes are `[a-z]` and `[^a-z]`.

Go finds no match by a malformed pattern; so it does here.
"""

from __future__ import annotations

import re
from functools import cache

_CHARACTER = r"(?:\\.|[^\\\]\-])"
_CLASS = re.compile(rf"\[\^?(?:{_CHARACTER}-{_CHARACTER}|{_CHARACTER})+\]", re.DOTALL)
_RANGE = re.compile(rf"({_CHARACTER})(?:-({_CHARACTER}))?", re.DOTALL)
_PLAIN = re.compile(r"\\.|[^\\*?\[]", re.DOTALL)
_WILD = {"*": "[^/]*", "?": "[^/]"}


@cache
def glob(pattern: str) -> re.Pattern[str] | None:
    """The pattern, to be matched with `fullmatch`; None for a malformed one."""
    pieces, place = [], 0
    while place < len(pattern):
        wild = _WILD.get(pattern[place])
        found = _PLAIN.match(pattern, place) or _CLASS.match(pattern, place)
        if wild is None and found is None:
            return None
        pieces.append(wild or _translated(found[0] if found else ""))
        place = found.end() if found else place + 1
    return re.compile("".join(pieces), re.DOTALL)


def _translated(piece: str) -> str:
    if not piece.startswith("["):
        return re.escape(piece[-1])
    negated = piece.startswith("[^")
    ranges = (_range(low[-1], (high or low)[-1]) for low, high in _RANGE.findall(piece[1 + negated : -1]))
    inside = "".join(ranges)
    if not inside:  # only ranges that run backwards: nothing is in them
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{inside}]"


def _range(low: str, high: str) -> str:
    return f"{re.escape(low)}-{re.escape(high)}" if low <= high else ""
