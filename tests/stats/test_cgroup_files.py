"""The formats of cgroup files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.stats import cgroup_files as files
from cri_shim.stats.sample import Pressure, Stall
from tests.stats import made

counters = st.integers(0, 2**64 - 1)
names = st.from_regex(r"[a-z][a-z_]{0,20}", fullmatch=True)
shares = st.decimals(0, 100, places=2)


@given(st.dictionaries(names, counters))
def test_a_flat_keyed_file_says_what_was_written(values):
    assert files.keyed("".join(f"{name} {value}\n" for name, value in values.items())) == values


@given(st.text())
def test_whatever_stands_in_a_file_no_parser_fails_on_it(text):
    files.keyed(text)
    files.number(text)
    files.pressure(text)
    files.io_stat(text)
    files.blkio(text, text)


def test_a_line_of_another_form_is_left_out():
    assert files.keyed("a 1\nthree words here\nb 2\n") == {"a": 1, "b": 2}


@given(counters)
def test_a_number_above_what_a_limit_can_be_is_none(value):
    assert files.number(f"{value}\n") == (value if value <= files.NO_LIMIT else None)


@pytest.mark.parametrize("text", ["max\n", "", None, "-1\n"])
def test_no_number_is_none(text):
    assert files.number(text) is None


@given(shares, shares, shares, st.integers(0, 2**50))
def test_pressure_is_in_nanoseconds_and_percent(ten, sixty, three_hundred, microseconds):
    line = f"avg10={ten} avg60={sixty} avg300={three_hundred} total={microseconds}"
    stall = Stall(microseconds * 1000, float(ten), float(sixty), float(three_hundred))
    assert files.pressure(f"some {line}\nfull {line}\n") == Pressure(some=stall, full=stall)
    assert files.pressure(f"some {line}\n") == Pressure(some=stall, full=None)


def test_io_is_told_by_device_and_operation_alike_from_both_versions_files():
    service_bytes = made.SPLIT["blkio/blkio.throttle.io_service_bytes_recursive"]
    serviced = made.SPLIT["blkio/blkio.throttle.io_serviced_recursive"]
    (unified,), (split,) = files.io_stat(made.UNIFIED["io.stat"]), files.blkio(service_bytes, serviced)
    assert (unified.major, unified.minor) == (split.major, split.minor) == (8, 0)
    assert unified.bytes == {"Read": 4096, "Write": 8192}
    assert unified.requests == {"Read": 1, "Write": 2}
    assert split.bytes.items() >= unified.bytes.items()
    assert split.requests.items() >= unified.requests.items()


def test_a_file_that_is_not_there_is_none(tmp_path):
    (tmp_path / "there").write_text("7\n")
    assert files.read(str(tmp_path), "there") == "7\n"
    assert files.read(str(tmp_path), "missing") is None
    assert files.read(str(tmp_path / "no-group"), "there") is None


def test_a_file_that_can_not_be_read_is_an_error(tmp_path):
    (tmp_path / "directory").mkdir()
    with pytest.raises(IsADirectoryError):
        files.read(str(tmp_path), "directory")
