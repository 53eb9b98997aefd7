"""Patterns of annotations, held to an oracle of Go's `path.Match`."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from cri_shim.oci.annotations import passed_through
from cri_shim.oci.glob import glob
from tests.oci.path_match import path_match

PIECES = st.sampled_from(["*", "?", "a", "b", "/", ".", "-", "[", "]", "^", "\\", "[ab]", "[^a]", "[a-c]", "[^/]", "é"])
PATTERNS = st.lists(PIECES, max_size=9).map("".join)
NAMES = st.text("ab/.-^]é\n", max_size=9)


@given(PATTERNS, NAMES)
@example("*[^x]b*c", "qbzz/bc")  # a star that came back for another place would find one
@example("[c-a]", "b")
@example("[^c-a]", "b")
@example("[^]", "^")
@example("a*", "a\n")
def test_a_pattern_matches_what_gos_does(pattern: str, name: str) -> None:
    found = glob(pattern)
    assert (found is not None and found.fullmatch(name) is not None) == path_match(pattern, name)


@given(st.dictionaries(NAMES, st.text(max_size=3), max_size=5), st.lists(PATTERNS, max_size=4))
def test_what_is_passed_through_is_what_any_pattern_matches(annotations: dict[str, str], patterns: list[str]) -> None:
    expected = {key: value for key, value in annotations.items() if any(path_match(one, key) for one in patterns)}
    assert passed_through(annotations, patterns) == expected
