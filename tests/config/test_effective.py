"""What follows from what is set, and what holds where nothing is."""

from __future__ import annotations

from cri_shim.config import default

HEAD = 'version = 3\n[plugins."io.containerd.cri.v1.runtime"]\n'
SHIM = '\n[plugins."io.cri-shim.v1"]\n'


def test_the_defaults_are_containerds() -> None:
    settings = default()
    assert settings.cri_root == "/var/lib/containerd/io.containerd.grpc.v1.cri"
    assert settings.cri_state == "/run/containerd/io.containerd.grpc.v1.cri"
    assert settings.containerd.address == "/run/containerd/containerd.sock"
    assert settings.images.pinned_images == {"sandbox": "registry.k8s.io/pause:3.10"}
    assert settings.images.registry.config_path == "/etc/containerd/certs.d:/etc/docker/certs.d"
    runc = settings.runtime.containerd.runtimes["runc"]
    assert (runc.runtime_type, runc.sandboxer, runc.io_type) == ("io.containerd.runc.v2", "podsandbox", "fifo")
    assert settings.runtime.max_container_log_line_size == 16384


def test_an_exec_is_drained_for_a_bounded_time_unless_ours_says_zero(read) -> None:
    assert default().runtime.drain_exec_sync_io_timeout == 15.0
    assert read(HEAD + 'drain_exec_sync_io_timeout = "0s"').settings.runtime.drain_exec_sync_io_timeout == 15.0
    assert read(HEAD + 'drain_exec_sync_io_timeout = "3s"').settings.runtime.drain_exec_sync_io_timeout == 3.0
    unbounded = read(HEAD + SHIM + 'drain_exec_sync_io_timeout = "0"')
    assert unbounded.settings.runtime.drain_exec_sync_io_timeout == 0.0


def test_bin_dir_takes_the_place_of_the_default_bin_dirs(read) -> None:
    loaded = read(HEAD + 'cni.bin_dir = "/cni"')
    assert (loaded.settings.runtime.cni.bin_dir, loaded.settings.runtime.cni.bin_dirs) == ("", ("/cni",))
    assert "deprecated, use bin_dirs" in loaded.warnings[0]


def test_an_empty_duration_is_the_default(read) -> None:
    settings = read(HEAD + 'stats_collect_period = ""\nstats_retention_period = ""').settings
    assert (settings.runtime.stats_collect_period, settings.runtime.stats_retention_period) == (1.0, 120.0)


def test_a_handler_has_its_own_network_and_snapshotter_or_the_nodes(read) -> None:
    settings = read(
        HEAD + 'containerd.runtimes.x = { runtime_type = "x", cni_conf_dir = "/x", snapshotter = "native" }'
    ).settings
    own, runc = settings.runtime.containerd.runtimes["x"], settings.runtime.containerd.runtimes["runc"]
    assert (settings.cni_of(own).conf_dir, settings.cni_of(own).max_conf_num) == ("/x", 1)
    assert settings.cni_of(runc) == settings.runtime.cni
    assert (settings.snapshotter_of(own), settings.snapshotter_of(runc)) == ("native", "overlayfs")


def test_auths_are_folded_into_configs_by_host(read) -> None:
    registry = '[plugins."io.containerd.cri.v1.images".registry]\nauths."https://r.example/v1/".username = "u"'
    assert read("version = 3\n" + registry).settings.images.registry.configs["r.example"].auth.username == "u"


def test_mirrors_leave_the_config_path_empty(read) -> None:
    registry = '[plugins."io.containerd.cri.v1.images".registry]\nmirrors.a.endpoint = ["https://b"]'
    assert read("version = 3\n" + registry).settings.images.registry.config_path == ""


def test_a_handler_for_another_way_to_run_pods_is_warned_of(read) -> None:
    loaded = read(HEAD + 'containerd.runtimes.runc = { sandboxer = "shim", io_type = "streaming" }')
    assert ['runs them with "podsandbox" only' in loaded.warnings[0], 'with "fifo" only' in loaded.warnings[1]] == [
        True,
        True,
    ]
