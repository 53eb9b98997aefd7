"""Reading log files: every line is one, or the endpoint has failed."""

from __future__ import annotations

import pytest

from cri_shim.smoke import cri_log
from cri_shim.smoke.check import Failed
from cri_shim.smoke.cri_log import Entry

TIME = "2026-01-02T03:04:05.000000006Z"


def test_entries_have_time_stream_tag_and_content_as_it_was() -> None:
    data = f"{TIME} stdout F a  b \n{TIME} stderr P \n{TIME} stderr F:more x\n".encode()
    assert cri_log.parse(data) == [
        Entry(TIME, "stdout", "F", b"a  b "),
        Entry(TIME, "stderr", "P", b""),
        Entry(TIME, "stderr", "F", b"x"),
    ]


def test_parts_are_joined_by_their_stream() -> None:
    entries = [
        Entry(TIME, "stdout", "P", b"one "),
        Entry(TIME, "stderr", "F", b"between"),
        Entry(TIME, "stdout", "F", b"line"),
        Entry(TIME, "stdout", "P", b"unfinished"),
    ]
    assert cri_log.text(entries) == ["between", "one line", "unfinished"]


@pytest.mark.parametrize(
    "data", [b"text\n", f"{TIME} stdin F x\n".encode(), f"{TIME} stdout X x\n".encode(), f"{TIME} stdout F x".encode(),
             b"yesterday stdout F x\n", b"\n"]
)  # fmt: skip
def test_what_is_no_entry_is_a_failure(data: bytes) -> None:
    with pytest.raises(Failed):
        cri_log.parse(data)
