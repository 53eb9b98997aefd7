"""Versions 2, 3 and 4 of containerd's file say the same in different places."""

from __future__ import annotations

import pytest

from cri_shim.config import ConfigInvalid

VERSION_2 = """
    version = 2
    [grpc]
    address = "/run/two.sock"
    [plugins."io.containerd.grpc.v1.cri"]
    sandbox_image = "registry.example/pause:1"
    max_container_log_line_size = 1000
    stats_collect_period = 20
    stream_idle_timeout = "1h"
    image_pull_progress_timeout = "7m"
    [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/cni/bin"
    conf_dir = "/cni/conf"
    [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    default_runtime_name = "kata"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata]
    runtime_type = "io.containerd.kata.v2"
    sandbox_mode = "shim"
    snapshotter = "devmapper"
    [plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
    endpoint = ["https://mirror.example"]
    """

VERSION_3 = """
    version = 3
    [grpc]
    address = "/run/two.sock"
    [plugins."io.containerd.cri.v1.images"]
    snapshotter = "native"
    stats_collect_period = 20
    image_pull_progress_timeout = "7m"
    pinned_images.sandbox = "registry.example/pause:1"
    registry.mirrors."docker.io".endpoint = ["https://mirror.example"]
    [plugins."io.containerd.cri.v1.runtime"]
    max_container_log_line_size = 1000
    cni = { bin_dirs = ["/cni/bin"], conf_dir = "/cni/conf" }
    [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "kata"
    runtimes.kata = { runtime_type = "io.containerd.kata.v2", sandboxer = "shim", snapshotter = "devmapper" }
    [plugins."io.containerd.grpc.v1.cri"]
    stream_idle_timeout = "1h"
    """

VERSION_4 = VERSION_3.replace("version = 3", "version = 4").replace(
    "[grpc]", '[plugins."io.containerd.server.v1.grpc"]'
)


@pytest.mark.parametrize("text", [VERSION_3, VERSION_4], ids=["3", "4"])
def test_each_version_gives_the_settings_of_version_2(read, text: str) -> None:
    assert read(text).settings == read(VERSION_2).settings


def test_version_2_is_read_whole(read) -> None:
    settings = read(VERSION_2).settings
    kata = settings.runtime.containerd.runtimes["kata"]
    assert (settings.containerd.address, settings.runtime.cni.bin_dirs) == ("/run/two.sock", ("/cni/bin",))
    assert (kata.sandboxer, settings.snapshotter_of(kata), settings.images.snapshotter) == (
        "shim",
        "devmapper",
        "native",
    )
    assert settings.images.pinned_images == {"sandbox": "registry.example/pause:1"}
    assert settings.runtime.stats_collect_period == 1.0  # the whole seconds of version 2 are those of images
    assert settings.images.stats_collect_period == 20
    assert settings.streaming.stream_idle_timeout == 3600.0


def test_a_file_without_a_version_is_of_version_1(read) -> None:
    settings = read('[plugins.cri]\nsandbox_image = "registry.example/pause:1"').settings
    assert settings.images.pinned_images["sandbox"] == "registry.example/pause:1"


def test_the_new_place_of_a_key_wins_over_the_old_one(read) -> None:
    settings = read("""
        version = 3
        [plugins."io.containerd.grpc.v1.cri"]
        sandbox_image = "old"
        enable_selinux = true
        [plugins."io.containerd.cri.v1.images".pinned_images]
        sandbox = "new"
        [plugins."io.containerd.cri.v1.runtime"]
        enable_selinux = false
        """).settings
    assert settings.images.pinned_images["sandbox"] == "new"
    assert settings.runtime.enable_selinux is False


def test_version_4_keeps_a_zero_of_a_server_plugin_and_prefixes_tcp(read) -> None:
    grpc = read("""
        version = 4
        [plugins."io.containerd.server.v1.grpc"]
        address = "/run/four.sock"
        max_recv_message_size = 1024
        [plugins."io.containerd.server.v1.grpc-tcp"]
        address = "127.0.0.1:1234"
        tls_ca = "/ca.pem"
        max_recv_message_size = 5
        """).settings.containerd.grpc
    assert (grpc.address, grpc.tcp_address, grpc.tcp_tls_ca) == ("/run/four.sock", "127.0.0.1:1234", "/ca.pem")
    assert grpc.max_recv_message_size == 1024


@pytest.mark.parametrize("version", ["5", '"2"', "-1", "true", "2.0"])
def test_an_unknown_version_is_refused(read, version: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"main.toml:1: version = .* must be a whole number up to 4"):
        read(f"version = {version}")


def test_kinds_file_is_read_with_one_warning(read) -> None:
    loaded = read("""
        version = 2
        [plugins."io.containerd.grpc.v1.cri".containerd]
        discard_unpacked_layers = true
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
        runtime_type = "io.containerd.runc.v2"
        base_runtime_spec = "/etc/containerd/cri-base.json"
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = true
        [plugins."io.containerd.grpc.v1.cri"]
        sandbox_image = "registry.k8s.io/pause:3.10"
        tolerate_missing_hugepages_controller = true
        restrict_oom_score_adj = false
        """)
    runc = loaded.settings.runtime.containerd.runtimes["runc"]
    assert runc.options["SystemdCgroup"] is True
    assert runc.options["BinaryName"] == ""  # the default entry of that name lies underneath
    assert loaded.settings.images.discard_unpacked_layers
    (misspelt,) = loaded.warnings
    assert 'did you mean "tolerate_missing_hugetlb_controller"?' in misspelt
