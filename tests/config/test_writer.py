"""A dump is a file that gives the same settings again."""

from __future__ import annotations

import datetime as dt
import math
import tomllib
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from cri_shim.config import default, dump, load
from cri_shim.config.writer import toml
from tests.config.test_versions import VERSION_2

if TYPE_CHECKING:
    from pathlib import Path

_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_SCALAR = st.one_of(
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(allow_nan=False),
    _TEXT,
    st.datetimes(),
    st.dates(),
    st.times(),
)
_VALUE = st.recursive(_SCALAR, lambda below: st.lists(below, max_size=3) | st.dictionaries(_TEXT, below, max_size=3))


@given(st.dictionaries(_TEXT, _VALUE, max_size=4))
def test_any_tree_reads_back_as_it_was_written(tree: dict[str, object]) -> None:
    assert tomllib.loads(toml(tree)) == tree


def test_what_is_not_a_number_is_written_as_toml_spells_it() -> None:
    assert math.isnan(tomllib.loads(toml({"a": math.nan}))["a"])
    assert toml({"a": dt.date(2026, 1, 2)}) == "a = 2026-01-02\n"


def test_the_default_dump_loads_to_the_default(tmp_path: Path) -> None:
    (tmp_path / "dump.toml").write_text(dump(default()))
    loaded = load([str(tmp_path / "dump.toml")])
    assert loaded.settings == default()
    assert loaded.warnings == ()


def test_a_dump_of_settings_loads_to_them(read, tmp_path: Path) -> None:
    settings = read(VERSION_2).settings
    (tmp_path / "dump.toml").write_text(dump(settings))
    assert load([str(tmp_path / "dump.toml")]).settings == settings


def test_every_field_of_every_table_is_dumped() -> None:
    tree = tomllib.loads(dump(default()))
    assert tree["version"] == 3
    assert tree["grpc"]["address"] == "/run/containerd/containerd.sock"
    runtime = tree["plugins"]["io.containerd.cri.v1.runtime"]
    assert runtime["drain_exec_sync_io_timeout"] == "15s"
    assert runtime["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is False
    assert tree["plugins"]["io.cri-shim.v1"]["address"] == "/run/cri-shim/cri-shim.sock"
