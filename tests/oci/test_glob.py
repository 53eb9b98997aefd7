from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.oci.glob import glob


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("abc", "abc", True),
        ("", "", True),
        ("", "a", False),
        ("*", "abc", True),
        ("*", "a/b", False),
        ("com.example/*", "com.example/a", True),
        ("com.example/*", "com.example/a/b", False),
        ("com.example*", "com.example/a", False),
        ("a*b*c", "aXbYYc", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[a-c]x", "bx", True),
        ("[a-c]x", "dx", False),
        ("[^a-c]x", "dx", True),
        ("[^a-c]x", "ax", False),
        ("[a.c]x", ".x", True),
        ("[\\]a]", "]", True),
        ("[\\-x]", "-", True),
        ("[[a]", "[", True),
        ("[a&&b|~#]", "&", True),
        ("[z-a]", "m", False),
        ("[^z-a]", "m", True),
        ("\\*", "*", True),
        ("\\*", "x", False),
        ("a.c", "abc", False),
        ("a]", "a]", True),
        ("a\nb", "a\nb", True),
    ],
)
def test_patterns_are_as_in_go(pattern: str, text: str, *, expected: bool) -> None:
    compiled = glob(pattern)
    assert compiled is not None
    assert (compiled.fullmatch(text) is not None) is expected


@pytest.mark.parametrize("pattern", ["[", "[]", "[]a]", "[^]", "[a", "[a-]", "[-x]", "[a-b-c]", "\\", "[a\\"])
def test_a_malformed_pattern_matches_nothing(pattern: str) -> None:
    assert glob(pattern) is None


def test_many_stars_take_no_time() -> None:
    compiled = glob("*a" * 30 + "b")
    assert compiled is not None
    assert compiled.fullmatch("a" * 5000) is None


@given(st.text(alphabet="ab[]^-\\*?/&|~", max_size=12), st.text(alphabet="ab/&", max_size=6))
def test_no_pattern_breaks_the_matcher(pattern: str, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled = glob(pattern)
    if compiled is not None:
        compiled.fullmatch(text)
