"""The CRI log format: whole buffers give what a reader line by line would."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cri_shim.stdio.cri_log import LineFormatter, timestamp

NOW = b"2026-11-23T10:00:00.5Z"


def reference(data: bytes, limit: int) -> bytes:
    """The format, byte by byte, as its description says."""
    records: list[bytes] = []

    def cut(line: bytes, tag: bytes) -> None:
        while limit > 0 and len(line) > limit:
            records.append(b"%b stdout P %b\n" % (NOW, line[:limit]))
            line = line[limit:]
        records.append(b"%b stdout %b %b\n" % (NOW, tag, line))

    *lines, rest = data.split(b"\n")
    for line in lines:
        cut(line[:-1] if line.endswith(b"\r") else line, b"F")
    if rest:
        cut(rest, b"P")
    return b"".join(records)


def formatted(data: bytes, limit: int, cuts: list[int]) -> bytes:
    lines = LineFormatter("stdout", limit)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    records = b"".join(lines.feed(data[start:end], NOW) for start, end in pairwise(edges)) + lines.finish(NOW)
    assert lines.lines == data.count(b"\n") + (data[-1:] not in (b"", b"\n"))  # as they are counted for the metrics
    assert lines.lines + lines.splits == records.count(b"\n")
    return records


OUTPUT = st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"a", b"bc", b"defgh", b"\xff\x00"])).map(b"".join)


@given(OUTPUT, st.integers(-1, 9), st.lists(st.integers(0, 60), max_size=8))
@example(b"abcd\r\n", 4, [5])
@example(b"abcd\rx\n", 4, [5])
@example(b"abcdabcd\r\n", 4, [4, 8, 9])
@example(b"abcd\r", 4, [])
@example(b"\r\r\n\n\r\n", 1, [1, 2])
def test_any_output_in_any_buffers_is_formatted_as_line_by_line(data: bytes, limit: int, cuts: list[int]) -> None:
    assert formatted(data, limit, cuts) == reference(data, limit)


@given(st.lists(st.integers(0, 5000), max_size=30), st.integers(1, 2000), st.lists(st.integers(0, 60_000), max_size=8))
def test_lines_above_the_limit_are_cut_among_those_below(sizes: list[int], limit: int, cuts: list[int]) -> None:
    data = b"\n".join(b"%c" % (97 + index % 26) * size for index, size in enumerate(sizes))
    assert formatted(data, limit, cuts) == reference(data, limit)


@pytest.mark.parametrize(
    ("data", "records"),
    [
        (b"hello\n", [b"F hello"]),
        (b"hello\r\n", [b"F hello"]),
        (b"\n", [b"F "]),
        (b"hello", [b"P hello"]),
        (b"12345678\n", [b"F 12345678"]),
        (b"123456789\n", [b"P 12345678", b"F 9"]),
        (b"12345678" * 2 + b"\n", [b"P 12345678", b"F 12345678"]),
        (b"12345678" * 2, [b"P 12345678", b"P 12345678"]),
        (b"", []),
    ],
)
def test_a_line_is_cut_at_exactly_the_limit_and_marked_full_or_partial(data: bytes, records: list[bytes]) -> None:
    assert formatted(data, 8, []) == b"".join(b"%b stdout %b\n" % (NOW, record) for record in records)


def test_parts_are_written_as_soon_as_the_limit_is_passed() -> None:
    lines = LineFormatter("stderr", 4)
    assert lines.feed(b"abcd", NOW) == b""
    assert lines.feed(b"e", NOW) == NOW + b" stderr P abcd\n"
    assert lines.feed(b"\n", NOW) == NOW + b" stderr F e\n"


def test_each_buffer_has_the_time_it_was_read_at() -> None:
    lines = LineFormatter("stdout", 100)
    assert lines.feed(b"a\nb", b"1") + lines.feed(b"c\n", b"2") == b"1 stdout F a\n2 stdout F bc\n"


@pytest.mark.parametrize(
    ("zone", "nanoseconds", "text"),
    [
        ("UTC", 1_700_000_000_000_000_000, b"2023-11-14T22:13:20Z"),
        ("UTC", 1_700_000_000_120_000_000, b"2023-11-14T22:13:20.12Z"),
        ("UTC", 1_700_000_000_000_000_001, b"2023-11-14T22:13:20.000000001Z"),
        ("UTC", 1_700_000_010_100_000_000, b"2023-11-14T22:13:30.1Z"),
        ("IST-5:30", 1_700_000_000_000_000_000, b"2023-11-15T03:43:20+05:30"),
        ("NST3:30", 1_700_000_000_500_000_000, b"2023-11-14T18:43:20.5-03:30"),
    ],
)
def test_a_time_is_local_and_without_trailing_zeros(
    monkeypatch: pytest.MonkeyPatch, zone: str, nanoseconds: int, text: bytes
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    timestamp.__globals__["_second"].cache_clear()
    try:
        assert timestamp(nanoseconds) == text
    finally:
        monkeypatch.undo()
        time.tzset()
        timestamp.__globals__["_second"].cache_clear()
