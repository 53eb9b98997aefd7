"""Classes of cache and memory bandwidth on this node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.linux import resctrl
from cri_shim.oci.rdt import RdtRules

if TYPE_CHECKING:
    from pathlib import Path


def test_the_classes_of_cache_are_the_groups_of_resctrl(tmp_path: Path) -> None:
    assert resctrl.groups(str(tmp_path)) is None
    for group in (".", "gold", "silver"):
        (tmp_path / group).mkdir(exist_ok=True)
        (tmp_path / group / "schemata").touch()
    (tmp_path / "info").mkdir()
    assert resctrl.groups(str(tmp_path)) == {"gold", "silver"}


def test_a_file_of_rules_is_read_and_one_that_cannot_be_enables_nothing(tmp_path: Path) -> None:
    file = tmp_path / "rdt.yaml"
    assert resctrl.rules("") is None
    assert resctrl.rules(str(file)) is None
    file.write_text("partitions: [")
    assert resctrl.rules(str(file)) is None
    file.write_text("partitions: {p: {classes: {gold: {kubernetes: {denyPodAnnotation: true}}}}}")
    assert resctrl.rules(str(file)) == RdtRules(not_for_pods=frozenset({"gold"}))
