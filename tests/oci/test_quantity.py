"""Amounts as Kubernetes writes them."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.oci.quantity import MOST, whole

SUFFIXES = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
    "e3": Fraction(1000),
    "E+2": Fraction(100),
    "e-1": Fraction(1, 10),
}


@given(st.integers(0, 10**21), st.none() | st.text("0123456789", max_size=12), st.sampled_from(sorted(SUFFIXES)))
def test_an_amount_is_its_number_times_its_suffix_rounded_up(digits: int, decimals: str | None, suffix: str) -> None:
    text = f"{digits}" if decimals is None else f"{digits}.{decimals}"
    exact = Fraction(digits) + (Fraction(int(decimals), 10 ** len(decimals)) if decimals else 0)
    expected = min(math.ceil(exact * SUFFIXES[suffix]), MOST)
    assert whole(text + suffix) == expected
    assert whole(f"+{text}{suffix}") == expected
    assert whole(f"-{text}{suffix}") == -expected


@pytest.mark.parametrize(("text", "value"), [(".5k", 500), ("5.", 5), ("1e400", MOST), ("1e-400", 1), ("0e400", 0)])
def test_what_stands_at_the_edge(text: str, value: int) -> None:
    assert whole(text) == value


@pytest.mark.parametrize(
    "text", ["", ".", "+", "k", "1 k", " 1", "1K", "1ki", "1kk", "1e", "1E+", "1e1.5", "0x10", "--1", "1,5", "٣", "1\n"]
)
def test_what_is_no_amount_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="is no amount"):
        whole(text)


@given(st.text())
def test_any_text_is_an_amount_or_a_clear_refusal(text: str) -> None:
    try:
        assert -MOST <= whole(text) <= MOST
    except ValueError as error:
        assert repr(text) in str(error)  # noqa: PT017  (either outcome is right)
