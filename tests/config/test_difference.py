"""What a changed configuration comes to while we serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.config import load
from cri_shim.config.difference import AT_START, CONTAINERDS, NOW, differences, with_reloaded

if TYPE_CHECKING:
    from pathlib import Path


def changed(tmp_path: Path, before: str, after: str):
    settings = []
    for name, text in (("before.toml", before), ("after.toml", after)):
        (tmp_path / name).write_text(f"version = 3\n{text}\n")
        settings.append(load([str(tmp_path / name)]).settings)
    return [(one.key, one.before, one.after, one.effect) for one in differences(*settings)]


def test_the_same_differs_in_nothing(tmp_path):
    assert changed(tmp_path, "", "") == []


def test_each_key_is_told_with_its_values_and_when_it_counts(tmp_path):
    before = "[debug]\nlevel = 'info'"
    after = (
        "root = '/data'\n[debug]\nlevel = 'debug'\n[plugins.'io.cri-shim.v1']\nlog_level = 'debug'\n"
        "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata]\nruntime_type = 'io.containerd.kata.v2'"
    )
    found = changed(tmp_path, before, after)
    assert ("root", "/var/lib/containerd", "/data", AT_START) in found
    assert ("debug.level", "info", "debug", CONTAINERDS) in found
    assert ('plugins."io.cri-shim.v1".log_level', "info", "debug", NOW) in found
    kata = 'plugins."io.containerd.cri.v1.runtime".containerd.runtimes.kata.runtime_type'
    assert (kata, None, "io.containerd.kata.v2", AT_START) in found


def test_a_handler_that_has_gone_is_told(tmp_path):
    kata = "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata]\nruntime_type = 'io.containerd.kata.v2'"
    gone = [(before, after) for key, before, after, _ in changed(tmp_path, kata, "") if key.endswith("runtime_type")]
    assert gone == [("io.containerd.kata.v2", None)]


def test_a_password_is_not_told(tmp_path):
    auth = "[plugins.'io.containerd.cri.v1.images'.registry.configs.'r.example'.auth]\npassword = "
    found = changed(tmp_path, f"{auth}'old-secret'", f"{auth}'new-secret'")
    assert "secret" not in repr(found)
    assert [(before, after) for _, before, after, _ in found] == [("(hidden)", "(hidden)")]


def test_what_takes_effect_now_is_just_what_is_taken_over(tmp_path):
    (tmp_path / "a.toml").write_text(
        "version = 3\n[plugins.'io.cri-shim.v1']\nlog_level = 'debug'\nshim_timeout = '1s'\n"
        "[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/x'\n"
    )
    before, after = load().settings, load([str(tmp_path / "a.toml")]).settings
    now = {one.key for one in differences(before, after) if one.effect == NOW}
    left = {one.key for one in differences(with_reloaded(before, after), after)}
    assert now == {'plugins."io.cri-shim.v1".log_level', 'plugins."io.containerd.cri.v1.images".registry.config_path'}
    assert left == {'plugins."io.cri-shim.v1".shim_timeout'}
