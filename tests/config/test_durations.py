"""Go's durations: what they mean, and what is none."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.config.durations import parse, parse_nanoseconds, render, render_nanoseconds

INT64 = (1 << 63) - 1


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("10s", 10_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("500ms", 500_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("-1.5h", -5_400_000_000_000),
        ("+5s", 5_000_000_000),
        ("1us", 1_000),
        ("1\u00b5s", 1_000),
        ("1\u03bcs", 1_000),
        ("4h0m0s", 14_400_000_000_000),
        ("0.1ns", 0),
        ("9223372036854775807ns", INT64),
        ("-9223372036854775808ns", -INT64 - 1),
    ],
)
def test_a_duration_means_what_go_says(text: str, nanoseconds: int) -> None:
    assert parse_nanoseconds(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        "-",
        "+",
        "--1s",
        "1 s",
        " 1s",
        "1s ",
        ".s",
        "1d",
        "1S",
        "1h2",
        "1e3s",
        "\u0661s",
        "9223372036854775808ns",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_nanoseconds(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0s", 0),
        ("1ns", 1),
        ("1.1\u00b5s", 1_100),
        ("2.2ms", 2_200_000),
        ("3.3s", 3_300_000_000),
        ("4m5s", 245_000_000_000),
        ("4m5.001s", 245_001_000_000),
        ("5h6m7.001s", 18_367_001_000_000),
        ("8m0.000000001s", 480_000_000_001),
        ("2562047h47m16.854775807s", INT64),
        ("-1h0m0s", -3_600_000_000_000),
    ],
)
def test_a_span_is_written_as_go_prints_it(text: str, nanoseconds: int) -> None:
    assert render_nanoseconds(nanoseconds) == text


@given(st.integers(-INT64 - 1, INT64))
def test_what_is_written_reads_back_to_the_nanosecond(nanoseconds: int) -> None:
    assert parse_nanoseconds(render_nanoseconds(nanoseconds)) == nanoseconds


@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(["h", "m", "s", "ms", "us", "ns"])), min_size=1))
def test_terms_add_up_in_any_order(terms: list[tuple[int, str]]) -> None:
    text = "".join(f"{count}{unit}" for count, unit in terms)
    assert parse_nanoseconds(text) == sum(parse_nanoseconds(f"{count}{unit}") for count, unit in terms)


@given(st.text(max_size=12))
def test_no_text_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert abs(parse_nanoseconds(text)) <= INT64 + 1


@given(st.integers(0, 1 << 50))
def test_seconds_keep_the_nanoseconds_of_ten_days(nanoseconds: int) -> None:
    text = render_nanoseconds(nanoseconds)
    assert render(parse(text)) == text
