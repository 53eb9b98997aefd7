"""Go's `path.Match`, read from its documentation and done step by step: an oracle for `cri_shim.oci.glob`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


class BadPatternError(Exception):
    """What Go calls ErrBadPattern."""


@dataclass(frozen=True)
class One:
    """A character that stands for itself."""

    character: str

    def fits(self, character: str) -> bool:
        return character == self.character


@dataclass(frozen=True)
class AnyOne:
    """`?`"""

    def fits(self, character: str) -> bool:
        return character != "/"


@dataclass(frozen=True)
class Class:
    """`[a-z]`, `[^a-z]`"""

    negated: bool
    ranges: tuple[tuple[str, str], ...]

    def fits(self, character: str) -> bool:
        return any(low <= character <= high for low, high in self.ranges) != self.negated


@dataclass(frozen=True)
class Star:
    """`*`"""


Term: TypeAlias = One | AnyOne | Class


def parsed(pattern: str) -> list[Term | Star]:
    """The pattern as terms. Raises BadPatternError."""
    terms: list[Term | Star] = []
    left = list(pattern)
    while left:
        character = left.pop(0)
        if character == "*":
            terms.append(Star())
        elif character == "?":
            terms.append(AnyOne())
        elif character == "[":
            terms.append(_class(left))
        else:
            terms.append(One(_escaped(character, left)))
    return terms


def _escaped(character: str, left: list[str]) -> str:
    if character != "\\":
        return character
    if not left:
        raise BadPatternError
    return left.pop(0)


def _class(left: list[str]) -> Class:
    negated = left[:1] == ["^"]
    del left[:negated]
    ranges: list[tuple[str, str]] = []
    while not (ranges and left[:1] == ["]"]):
        low = high = _end(left)
        if left[:1] == ["-"]:
            left.pop(0)
            high = _end(left)
        ranges.append((low, high))
    left.pop(0)
    return Class(negated, tuple(ranges))


def _end(left: list[str]) -> str:
    if not left or left[0] in "-]":
        raise BadPatternError
    return _escaped(left.pop(0), left)


def path_match(pattern: str, name: str) -> bool:
    """Chunk after chunk, each behind a star at the first place where it fits; no star skips a slash."""
    try:
        terms = parsed(pattern)
    except BadPatternError:
        return False
    while terms:
        starred = isinstance(terms[0], Star)
        while terms and isinstance(terms[0], Star):
            terms.pop(0)
        chunk: list[Term] = []
        while terms and not isinstance(terms[0], Star):
            chunk.append(terms.pop(0))
        if starred and not chunk:
            return "/" not in name
        rest = _first_fit(chunk, name, starred=starred, last=not terms)
        if rest is None:
            return False
        name = rest
    return not name


def _first_fit(chunk: list[Term], name: str, *, starred: bool, last: bool) -> str | None:
    """What is left of the name behind the chunk; None when it fits nowhere, or, the last, not to the end."""
    for skipped in range(len(name.partition("/")[0]) + 1 if starred else 1):
        here = name[skipped : skipped + len(chunk)]
        rest = name[skipped + len(chunk) :]
        fits = len(here) == len(chunk) and all(term.fits(one) for term, one in zip(chunk, here, strict=True))
        if fits and not (last and rest):
            return rest
    return None
