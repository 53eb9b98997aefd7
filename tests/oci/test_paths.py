from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.oci.paths import clean, join


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", "."),
        ("/", "/"),
        ("//a", "/a"),
        ("///a//b/", "/a/b"),
        ("/a/./b/../c", "/a/c"),
        ("/../a", "/a"),
        ("a/b/..", "a"),
        ("../a", "../a"),
    ],
)
def test_a_path_is_cleaned_as_go_cleans_it(path: str, expected: str) -> None:
    assert clean(path) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [(("/k8s.io", "c1"), "/k8s.io/c1"), (("/", "c1"), "/c1"), (("a//b/", "c"), "a/b/c"), (("", "c"), "c"), (("",), "")],
)
def test_parts_are_joined_as_go_joins_them(parts: tuple[str, ...], expected: str) -> None:
    assert join(*parts) == expected


@given(st.text(alphabet="ab./", max_size=20))
def test_cleaning_twice_changes_nothing(path: str) -> None:
    assert clean(clean(path)) == clean(path)
