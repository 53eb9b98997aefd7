"""Commands that speak to a CRI endpoint find the node's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cri_shim.cli import endpoint

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("address = '/run/containerd/containerd.sock'", "unix:///run/containerd/containerd.sock"),
        ("address = 'unix:///run/own.sock'", "unix:///run/own.sock"),
        ("log_level = 'debug'", endpoint.DEFAULT),
        ("address = 5", endpoint.DEFAULT),  # `cri-shim serve` says what is wrong with it
    ],
)
def test_the_endpoint_is_where_this_nodes_cri_shim_listens(
    written: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"version = 3\n[plugins.'io.cri-shim.v1']\n{written}\n")
    monkeypatch.setattr("cri_shim.config.default_files", lambda: [str(file)])
    assert endpoint.configured() == found
