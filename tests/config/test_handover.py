"""A containerd configuration, brought over to a file of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cri_shim.config import default, load
from cri_shim.config.handover import DIFFERENT_DEFAULTS, WITHOUT_EFFECT, handover

if TYPE_CHECKING:
    from pathlib import Path

CRI = 'plugins."io.containerd.grpc.v1.cri"'
RUNTIME, IMAGES = 'plugins."io.containerd.cri.v1.runtime"', 'plugins."io.containerd.cri.v1.images"'
FILES = {
    "nothing": "version = 3\n",
    "the defaults": "",  # filled in below
    "version 2": f"""version = 2
root = "/data"
[{CRI}]
  sandbox_image = "r.example/pause:3.9"
  stream_idle_timeout = "1h"
[{CRI}.containerd]
  snapshotter = "native"
  default_runtime_name = "kata"
[{CRI}.containerd.runtimes.kata]
  runtime_type = "io.containerd.kata.v2"
[{CRI}.containerd.runtimes.kata.options]
  ConfigPath = "/x"
[{CRI}.cni]
  bin_dir = "/usr/lib/cni"
[{CRI}.registry.mirrors."r.example"]
  endpoint = ["https://m.example"]
[{CRI}.registry.auths."https://r.example"]
  password = "secret"
""",
    "version 3": f"""version = 3
[timeouts]
  "io.containerd.timeout.cri.defercleanup" = "2m"
[{RUNTIME}]
  enable_selinux = true
[{RUNTIME}.containerd.runtimes.runc.options]
  SystemdCgroup = true
[{IMAGES}.pinned_images]
  other = "r.example/other:1"
""",
    "version 4": """version = 4
[plugins.'io.containerd.server.v1.grpc']
  address = '/run/c/c.sock'
[plugins.'io.cri-shim.v1']
  shim_timeout = '5s'
""",
}


def brought_over(tmp_path: Path, text: str):
    """The settings of a file, those of what is made of it, and that."""
    (tmp_path / "theirs.toml").write_text(text)
    theirs = load([str(tmp_path / "theirs.toml")])
    ours = handover(theirs, ["theirs.toml"])
    (tmp_path / "ours.toml").write_text(ours)
    return theirs.settings, load([str(tmp_path / "ours.toml")]).settings, ours


@pytest.mark.parametrize("text", [*FILES.values()], ids=[*FILES])
def test_it_gives_the_same_settings_for_all_that_we_act_on(tmp_path: Path, text: str) -> None:
    theirs, ours, _ = brought_over(tmp_path, text or "version = 3\n")
    for section in ("runtime", "images", "streaming", "shim"):
        assert getattr(ours, section) == getattr(theirs, section)
    assert (ours.cri_root, ours.cri_state, ours.containerd.address) == (
        theirs.cri_root, theirs.cri_state, theirs.containerd.address
    )  # fmt: skip
    assert ours.containerd.cleanup_timeout == theirs.containerd.cleanup_timeout


def test_each_key_has_its_default_and_its_place(tmp_path: Path) -> None:
    text = "version = 3\n\n[plugins.'io.containerd.cri.v1.runtime']\nenable_selinux = true\n"
    ours = brought_over(tmp_path, text)[2]
    assert f"[{RUNTIME}]\nenable_selinux = true  # default: false; {tmp_path}/theirs.toml:4\n" in ours
    assert ours.count(" = ") == 2, "the version, and nothing that is as by default"


def test_what_containerd_alone_acts_on_stays_in_its_file_and_is_named(tmp_path: Path) -> None:
    text = 'version = 3\noom_score = -999\n[plugins."io.containerd.internal.v1.opt"]\npath = "/x"\n'
    ours = brought_over(tmp_path, text)[2]
    assert f"#   {tmp_path}/theirs.toml:2: oom_score\n" in ours
    assert f'#   {tmp_path}/theirs.toml:3: plugins."io.containerd.internal.v1.opt"\n' in ours
    assert "\noom_score" not in ours


def test_what_has_no_effect_is_named_with_the_reason(tmp_path: Path) -> None:
    ours = brought_over(tmp_path, f"version = 2\n[{CRI}]\nstats_retention_period = '9s'\nenable_selinx = true\n")[2]
    assert "Has no effect here:\n" in ours
    assert f"{tmp_path}/theirs.toml:3: {CRI}.stats_retention_period: no history of stats is kept\n" in ours
    assert 'did you mean "enable_selinux"' in ours


def test_a_default_that_means_something_else_is_named_while_it_is_left(tmp_path: Path) -> None:
    note = "drain_exec_sync_io_timeout: 0 is 15 s here"
    assert note in brought_over(tmp_path, "version = 3\n")[2]
    text = f"version = 3\n[{RUNTIME}]\ndrain_exec_sync_io_timeout = '3s'\n"
    assert note not in brought_over(tmp_path, text)[2]


def test_the_paths_that_reasons_are_given_for_are_those_of_settings() -> None:
    settings = default()
    for pattern in (*WITHOUT_EFFECT, *DIFFERENT_DEFAULTS):
        section, *names = pattern.replace("\\.", ".").replace("[^.]+", "runc").split(".")
        for choice in names[-1].strip("()").split("|"):
            value = getattr(settings, section)
            for name in (*names[:-1], choice):
                value = value[name] if isinstance(value, dict) else getattr(value, name)
