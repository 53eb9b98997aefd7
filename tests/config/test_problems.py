"""What is wrong is said all at once, with file, line, key, value and what is allowed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from cri_shim.config import ConfigInvalid, load

if TYPE_CHECKING:
    from pathlib import Path

HEAD = 'version = 3\n[plugins."io.containerd.cri.v1.runtime"]\n'
NOT_A_DURATION = """'ten' is not a duration such as "10s", "1m30s" or "500ms" (units: h, m, s, ms, us, ns)"""


def bare(line: str) -> str:
    """The line without the test's directory."""
    return re.sub(r"^\S*/(?=\w+\.toml)", "", line)


def problems(read, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigInvalid) as caught:
        read(text)
    return tuple(map(bare, caught.value.problems))


def test_every_bad_value_is_named_not_only_the_first(read) -> None:
    found = problems(
        read,
        """\
        version = 3
        root = 7
        [plugins."io.containerd.cri.v1.runtime"]
        enable_selinux = "yes"
        # a comment
        cdi_spec_dirs = [
          "/etc/cdi",
          5,
        ]
        cni.max_conf_num = 1.5
        drain_exec_sync_io_timeout = 10
        stats_collect_period = "ten"
        [plugins."io.containerd.cri.v1.images"]
        pinned_images = "pause"
        registry = { config_path = true }
        """,
    )
    runtime, images = 'plugins."io.containerd.cri.v1.runtime"', 'plugins."io.containerd.cri.v1.images"'
    item = 'must be a list, and each item of it a text in quotes, "like this"'
    text, duration = 'must be a text in quotes, "like this"', 'must be a duration in quotes, such as "10s" or "1m30s"'
    assert sorted(found) == sorted(
        [
            f"main.toml:2: root = 7: {text}",
            f'main.toml:4: {runtime}.enable_selinux = "yes": must be true or false',
            f"main.toml:6: {runtime}.cdi_spec_dirs = ['/etc/cdi', 5]: {item}",
            f"main.toml:10: {runtime}.cni.max_conf_num = 1.5: must be a whole number",
            f"main.toml:11: {runtime}.drain_exec_sync_io_timeout = 10: {duration}",
            f'main.toml:12: {runtime}.stats_collect_period = "ten": must be a duration: {NOT_A_DURATION}',
            f'main.toml:14: {images}.pinned_images = "pause": must be a table',
            f"main.toml:15: {images}.registry.config_path = true: {text}",
        ]
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('cni.ip_pref = "ipv5"', 'ip_pref = "ipv5": must be one of "", "ipv4", "ipv6", "cni"'),
        (
            'containerd.default_runtime_name = "crun"',
            "default_runtime_name = \"crun\": must be a handler in runtimes: ['runc']",
        ),
        ('containerd.default_runtime_name = ""', 'default_runtime_name = "": must be a handler in runtimes'),
        ('containerd.runtimes.runc.io_type = "pipe"', 'io_type = "pipe": must be one of "fifo", "streaming"'),
        (
            'containerd.runtimes.runc.options.SystemdCgroup = "yes"',
            'options.SystemdCgroup = "yes": must be true or false',
        ),
        ("containerd.runtimes.runc.options.binaryname = 3", "options.binaryname = 3: must be a string"),
        ("containerd.runtimes.runc.options.IoUid = -1", "options.IoUid = -1: must be a number from 0 to 4294967295"),
        ("containerd.runtimes.runc.options.IoGid = true", "options.IoGid = true: must be a number"),
        ('containerd.runtimes.runc.runtime_path = "shim"', 'runtime_path = "shim": must be an absolute path'),
        ("containerd.runtimes.kata = {}", 'runtimes.kata.runtime_type = "": must be a runtime, such as'),
        (
            "containerd.runtimes.runc.privileged_without_host_devices_all_devices_allowed = true",
            "= true: must be false unless privileged_without_host_devices is true",
        ),
        ('cni = { bin_dir = "/a", bin_dirs = ["/b"] }', 'bin_dir = "/a": must be absent where bin_dirs is set'),
        ('drain_exec_sync_io_timeout = "-1s"', "must be a duration of zero or more"),
    ],
)
def test_a_runtime_value_that_cannot_be_is_refused(read, text: str, problem: str) -> None:
    (found,) = problems(read, HEAD + text)
    assert problem in found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[plugins."io.cri-shim.v1"]\naddress = "cri.sock"', "must be the absolute path of a Unix socket"),
        ('[plugins."io.cri-shim.v1"]\nlog_format = "xml"', 'must be one of "text", "json"'),
        ('[plugins."io.cri-shim.v1"]\nmetrics_address = "localhost"', "must be host:port"),
        ('[plugins."io.containerd.grpc.v1.cri"]\nstream_server_port = "http"', "must be a port in quotes"),
        (
            (
                '[plugins."io.containerd.grpc.v1.cri"]\n'
                'enable_tls_streaming = true\nx509_key_pair_streaming.tls_cert_file = "/c"'
            ),
            "must be both files or none",
        ),
        (
            '[plugins."io.containerd.grpc.v1.cri".x509_key_pair_streaming]\ntls_cert_file = "/c"\ntls_key_file = "/k"',
            "must be empty unless enable_tls_streaming is true",
        ),
        (
            '[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "/c"\nmirrors.a.endpoint = []',
            "must be empty where mirrors are set",
        ),
    ],
)
def test_other_values_that_cannot_be_are_refused(read, text: str, problem: str) -> None:
    (found,) = problems(read, "version = 3\n" + text)
    assert problem in found


def test_a_password_of_a_wrong_kind_is_not_printed(read) -> None:
    (found,) = problems(
        read, 'version = 3\n[plugins."io.containerd.cri.v1.images".registry.configs."r.example".auth]\npassword = 31337'
    )
    assert "(hidden)" in found
    assert "31337" not in found


def test_an_unknown_key_is_warned_of_with_the_nearest_known_one(read) -> None:
    loaded = read(HEAD + "max_container_log_size = 5\nzzz = 1\ncni.conf_dirs = []")
    runtime = 'plugins."io.containerd.cri.v1.runtime"'
    near = 'unknown key, ignored; did you mean "{}"?'
    assert list(map(bare, loaded.warnings)) == [
        f"main.toml:3: {runtime}.max_container_log_size: {near.format('max_container_log_line_size')}",
        f"main.toml:4: {runtime}.zzz: unknown key, ignored",
        f"main.toml:5: {runtime}.cni.conf_dirs: {near.format('conf_dir')}",
    ]


def test_a_misspelt_table_of_ours_is_warned_of_and_another_plugins_is_not(read) -> None:
    loaded = read(
        'version = 3\n[plugins."io.containerd.cri.v1.runtimes"]\n[plugins."io.containerd.gc.v1.scheduler"]\na = 1'
    )
    (warning,) = loaded.warnings
    assert 'did you mean "io.containerd.cri.v1.runtime"?' in warning


def test_a_key_that_containerd_dropped_says_what_took_its_place(read) -> None:
    (warning,) = read(HEAD + "systemd_cgroup = true").warnings
    assert "no longer has an effect: set SystemdCgroup in the handler's options" in warning


def test_keys_match_without_regard_to_case(read) -> None:
    assert read(HEAD + "Enable_SELinux = true").settings.runtime.enable_selinux is True


def test_text_that_is_not_toml_names_file_and_line(read, tmp_path: Path) -> None:
    (found,) = problems(read, "version = 3\nroot = = 1")
    assert found.startswith("main.toml: is not TOML: ")
    assert "line 2" in found
    (tmp_path / "latin.toml").write_bytes(b'root = "\xe4"')
    with pytest.raises(ConfigInvalid, match=r"latin.toml: is not UTF-8 text"):
        load([str(tmp_path / "latin.toml")])


@pytest.mark.parametrize(("transfer", "warned"), [(3, True), (5, False)])
def test_a_number_of_downloads_is_warned_of_unless_containerd_is_told_too(read, transfer: int, *, warned: bool) -> None:
    text = f"""version = 3
[plugins."io.containerd.cri.v1.images"]
max_concurrent_downloads = 5
[plugins."io.containerd.transfer.v1.local"]
max_concurrent_downloads = {transfer}
"""
    warnings = [bare(line) for line in read(text).warnings]
    told = "set it to 5 in [plugins.'io.containerd.transfer.v1.local'], and restart containerd"
    assert any(told in line for line in warnings) is warned
