"""Several files: imports, their order, and what the later one changes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cri_shim.config import ConfigInvalid, load

if TYPE_CHECKING:
    from pathlib import Path

RUNTIME = '[plugins."io.containerd.cri.v1.runtime"]'


def test_an_import_overrides_the_file_that_imports_it(read) -> None:
    loaded = read(
        f'version = 3\nimports = ["other.toml"]\n{RUNTIME}\nenable_selinux = true\ndisable_apparmor = true',
        other=f"version = 3\n{RUNTIME}\nenable_selinux = false",
    )
    assert loaded.settings.runtime.enable_selinux is False  # in a plugin's table a false counts
    assert loaded.settings.runtime.disable_apparmor is True


def test_imports_are_read_breadth_first(read) -> None:
    loaded = read(
        'version = 3\nimports = ["a.toml", "b.toml"]\nroot = "/main"',
        a='version = 3\nimports = ["deep.toml"]\nroot = "/a"',
        b='version = 3\nroot = "/b"\nstate = "/b"',
        deep='version = 3\nroot = "/deep"',
    )
    assert (loaded.settings.containerd.root, loaded.settings.containerd.state) == ("/deep", "/b")


def test_a_circle_of_imports_ends(read) -> None:
    loaded = read('version = 3\nimports = ["a.toml"]', a='version = 3\nimports = ["main.toml"]\nroot = "/a"')
    assert loaded.settings.containerd.root == "/a"


def test_a_glob_takes_files_in_order_and_hidden_ones_too_but_needs_none(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    for name in ("20.toml", "10.toml", ".30.toml"):
        (tmp_path / "conf.d" / name).write_text(f'version = 3\nroot = "/{name}"')
    main = tmp_path / "config.toml"
    main.write_text(f'version = 3\nimports = ["{tmp_path}/conf.d/*.toml", "none.d/*.toml"]')
    assert load([str(main)]).settings.containerd.root == "/20.toml"


def test_each_file_is_migrated_from_its_own_version(read) -> None:
    loaded = read(
        'version = 4\nimports = ["two.toml"]\n[plugins."io.containerd.cri.v1.images"]\nsnapshotter = "native"',
        two='version = 2\n[plugins."io.containerd.grpc.v1.cri"]\nsandbox_image = "registry.example/pause:2"',
    )
    assert loaded.settings.images.snapshotter == "native"
    assert loaded.settings.images.pinned_images["sandbox"] == "registry.example/pause:2"


def test_a_zero_at_the_top_level_undoes_nothing(read) -> None:
    loaded = read(
        'version = 3\nimports = ["other.toml"]\nroot = "/data"\noom_score = -999\n[grpc]\ngid = 7',
        other='version = 3\nroot = ""\noom_score = 0\n[grpc]\ngid = 0',
    )
    containerd = loaded.settings.containerd
    assert (containerd.root, containerd.oom_score, containerd.grpc.gid) == ("/data", -999, 7)


def test_a_list_at_the_top_level_grows_and_one_in_a_plugin_is_replaced(read) -> None:
    loaded = read(
        f'version = 3\nimports = ["other.toml"]\ndisabled_plugins = ["a.b", "c.d"]\n{RUNTIME}\ncdi_spec_dirs = ["/x"]',
        other=f'version = 3\ndisabled_plugins = ["c.d", "e.f"]\n{RUNTIME}\ncdi_spec_dirs = ["/y"]',
    )
    assert loaded.settings.containerd.disabled_plugins == ("a.b", "c.d", "e.f")
    assert loaded.settings.runtime.cdi_spec_dirs == ("/y",)


def test_a_proxy_plugin_is_replaced_as_a_whole_and_others_stay(read) -> None:
    loaded = read(
        """
        version = 3
        imports = ["other.toml"]
        [proxy_plugins.stargz]
        type = "snapshot"
        address = "/old.sock"
        [proxy_plugins.nydus]
        type = "snapshot"
        [timeouts]
        "io.containerd.timeout.cri.defercleanup" = "30s"
        """,
        other='version = 3\n[proxy_plugins.stargz]\naddress = "/new.sock"\n[timeouts]\nother = "1s"',
    )
    containerd = loaded.settings.containerd
    assert containerd.proxy_plugins["stargz"].type == ""
    assert containerd.proxy_plugins["nydus"].type == "snapshot"
    assert (containerd.cleanup_timeout, containerd.timeouts["other"]) == (30.0, 1.0)


def test_handlers_of_two_files_stand_side_by_side(read) -> None:
    handlers = RUNTIME[:-1] + ".containerd.runtimes"
    loaded = read(
        f'version = 3\nimports = ["other.toml"]\n{handlers}.a]\nruntime_type = "a"\noptions.X = {{ y = 1 }}',
        other=f'version = 3\n{handlers}.b]\nruntime_type = "b"\n{handlers}.a.options]\nZ = true',
    )
    runtimes = loaded.settings.runtime.containerd.runtimes
    assert sorted(runtimes) == ["a", "b", "runc"]
    assert runtimes["a"].options == {"X": {"y": 1}, "Z": True}


def test_what_the_command_line_says_is_on_top_of_all(tmp_path: Path) -> None:
    main = tmp_path / "main.toml"
    main.write_text('version = 3\n[grpc]\naddress = "/file.sock"\n[plugins."io.cri-shim.v1"]\nlog_level = "warn"')
    overrides = {"grpc": {"address": "/flag.sock"}, "plugins": {"io.cri-shim.v1": {"log_level": "debug"}}}
    settings = load([str(main)], overrides).settings
    assert (settings.containerd.address, settings.shim.log_level) == ("/flag.sock", "debug")
    with pytest.raises(
        ConfigInvalid, match=r'^command line: plugins."io.cri-shim.v1".log_level = "loud": must be one of'
    ):
        load([], {"plugins": {"io.cri-shim.v1": {"log_level": "loud"}}})


def test_files_named_later_lie_on_top_of_those_before(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f'version = 3\n[plugins."io.cri-shim.v1"]\naddress = "unix:///{name}.sock"')
    assert load([str(tmp_path / "a"), str(tmp_path / "b")]).settings.shim.address == "/b.sock"


def test_a_missing_file_or_import_is_an_error_that_names_it(read, tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        read('version = 3\nimports = ["gone.toml", "also.toml"]')
    assert caught.value.problems == tuple(
        f"{os.path.join(tmp_path, name)}: can't be read: No such file or directory"
        for name in ("gone.toml", "also.toml")
    )
