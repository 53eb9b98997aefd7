"""Patterns as Go's `path.Match` reads them: `*` and `?` don't cross a slash, classes are `[a-z]` and `[^a-z]`.

Go finds no match by a malformed pattern; so it does here. What follows a star is taken where it is first found, and
stays there: neither comes back for another place.
"""

from __future__ import annotations

import re
from functools import cache

_CHARACTER = r"(?:\\.|[^\\\]\-])"
_CLASS = rf"\[\^?+(?:{_CHARACTER}-{_CHARACTER}|{_CHARACTER})+\]"
_TOKEN = re.compile(rf"\*+|\?|{_CLASS}|\\.|[^\\*?\[]", re.DOTALL)
_RANGE = re.compile(rf"({_CHARACTER})(?:-({_CHARACTER}))?", re.DOTALL)
_STAR = "[^/]*"


@cache
def glob(pattern: str) -> re.Pattern[str] | None:
    """The pattern, to be matched with `fullmatch`; None for a malformed one."""
    pieces = _TOKEN.findall(pattern)
    if "".join(pieces) != pattern:
        return None
    chunks = [""]
    for piece in pieces:
        if piece.startswith("*"):
            chunks.append("")
        else:
            chunks[-1] += _translated(piece)
    first, *starred = chunks
    settled = "".join(f"(?>{_STAR}?{chunk})" for chunk in starred[:-1])
    return re.compile(first + settled + "".join(_STAR + chunk for chunk in starred[-1:]), re.DOTALL)


def _translated(piece: str) -> str:
    if piece == "?":
        return "[^/]"
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
