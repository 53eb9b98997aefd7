"""The file of block I/O classes, and the devices that its patterns name."""

from __future__ import annotations

import os
import stat
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from cri_shim.linux import blockio
from cri_shim.oci.linux_spec import BlockIo

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = {"sda": (8, 0), "sdb": (8, 16), ".hidden": (8, 32)}


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of device nodes: making real ones takes root, so that stat(2) is told what they are."""
    real = os.stat

    def told(path: str) -> object:
        status = real(path)
        if (device := BLOCK.get(os.path.basename(os.path.realpath(path)))) is None:
            return status
        return SimpleNamespace(st_mode=stat.S_IFBLK | 0o660, st_rdev=os.makedev(*device))

    directory = tmp_path / "dev"
    (directory / "disk" / "by-id").mkdir(parents=True)
    for name in (*BLOCK, "sdc-file"):
        (directory / name).touch()
    (directory / "disk/by-id/SSD-1").symlink_to("../../sdb")
    (directory / "disk/by-id/SSD-gone").symlink_to("../../sdz")
    monkeypatch.setattr(blockio.os, "stat", told)
    return directory


def numbers(tmp_path: Path, *patterns: str) -> list[int]:
    file = tmp_path / "blockio.yaml"
    file.write_text(f"Classes: {{x: [{{Devices: {list(patterns)}, ThrottleReadBps: 1}}]}}")
    found = blockio.classes(str(file))
    assert found is not None
    return [item.minor for item in found["x"].throttle_read_bps_device]


def test_devices_are_named_by_patterns_and_links_each_once(tmp_path: Path, dev: Path) -> None:
    assert numbers(tmp_path, f"{dev}/sd[ab]") == [0, 16]
    assert numbers(tmp_path, f"{dev}/disk/*/*SSD*", f"{dev}/sd?") == [16, 0]
    assert numbers(tmp_path, f"{dev}/sda", f"{dev}/sdz") == [0]
    assert numbers(tmp_path, f"{dev}/*") == [32, 0, 16], "a star takes hidden names, too, as in Go"
    assert numbers(tmp_path, f"{dev}/[", f"{dev}/", f"{dev}/sd[^a]", f"{dev}/no/*") == [16]


def test_a_file_that_cannot_be_read_enables_no_classes(tmp_path: Path) -> None:
    file = tmp_path / "blockio.yaml"
    assert blockio.classes("") is None
    assert blockio.classes(str(file)) is None
    for text in ("Classes: [", "Clases: {}", "a: b: c"):
        file.write_text(text)
        assert blockio.classes(str(file)) is None


def test_a_class_is_what_it_can_be(tmp_path: Path) -> None:
    file = tmp_path / "blockio.yaml"
    file.write_text("Classes:\n  heavy:\n  - Weight: 2000\n  - Weight: 80\n  nothing:\n")
    assert blockio.classes(str(file)) == {"heavy": BlockIo(weight=80), "nothing": BlockIo()}
    file.write_text("")
    assert blockio.classes(str(file)) == {}
