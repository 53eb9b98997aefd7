"""`install` shows, does and records; `uninstall` goes back to what was, byte for byte."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest

from cri_shim.config import load
from cri_shim.config.migrate import CRI

if TYPE_CHECKING:
    from tests.install.conftest import System

CONTAINERD, OWN, CRICTL = "/etc/containerd/config.toml", "/etc/cri-shim/config.toml", "/etc/crictl.yaml"
MANIFEST, CONF_D = "/etc/cri-shim/installed.json", "/etc/containerd/conf.d/99-cri-shim.toml"
PUBLIC = "/run/containerd/containerd.sock"
AS_FOUND = {
    "nothing": {},
    "version 2": {CONTAINERD: '# mine\nversion = 2\n[plugins."io.containerd.grpc.v1.cri"]\n  enable_cdi = true # y\n'},
    "version 4": {CONTAINERD: "version = 4\n[plugins.'io.containerd.server.v1.grpc']\naddress = '/run/c/c.sock'\n"},
    "no version": {CONTAINERD: "root = '/data'\n"},
    "imports": {CONTAINERD: 'version = 3\nimports = ["conf.d/*.toml"]\n'},
    "crictl": {CRICTL: "timeout: 7\nruntime-endpoint: unix:///old.sock\ndebug: true"},
    "own file": {OWN: "version = 3\n# mine\n[plugins.'io.cri-shim.v1']\nlog_level = 'debug'\n"},
}  # fmt: skip
MODES = {"own socket": (), "drop-in": ("--drop-in",)}


@pytest.fixture(params=AS_FOUND.values(), ids=AS_FOUND)
def found(request: pytest.FixtureRequest, system: System) -> System:
    for path, text in request.param.items():
        system.write(path, text)
    return system


@pytest.fixture(params=MODES.values(), ids=MODES)
def mode(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return request.param


def settings(system: System):
    return load([path for path in (CONTAINERD, OWN) if system.path(path).exists()], root=str(system.root)).settings


def test_without_apply_nothing_is_changed_and_all_is_shown(found: System, mode) -> None:
    before = found.everything()
    output = found.install(*mode).output
    assert found.everything() == before
    assert "nothing was done: add --apply" in output
    for path in ("/etc/systemd/system/cri-shim.service", CRICTL):
        assert path in output
    assert f"+disabled_plugins = ['{CRI}']" in output or f'+disabled_plugins = ["{CRI}"]' in output


def test_a_second_time_changes_nothing(found: System, mode) -> None:
    found.install("--apply", *mode)
    once = found.everything()
    assert found.install("--apply", *mode).output == "nothing to do: installed already\n"
    assert found.everything() == once


def test_uninstall_goes_back_byte_for_byte(found: System, mode) -> None:
    before = found.everything()
    found.install("--apply", *mode)
    assert found.everything() != before
    assert found.run("uninstall").exit_code == 0
    assert found.path(MANIFEST).exists()
    result = found.run("uninstall", "--apply")
    assert (result.exit_code, found.everything()) == (0, before)
    assert found.run("uninstall", "--apply").output == f"nothing to do: there is no {MANIFEST}\n"


def test_only_the_cri_plugin_is_switched_off_and_clients_find_cri_shim_at_its_own_socket(found: System) -> None:
    address = settings(found).containerd.grpc.address
    found.install("--apply")
    after = settings(found)
    assert after.containerd.disabled_plugins == (CRI,)
    assert after.containerd.grpc.address == address
    assert not after.shim.pass_through
    assert f"runtime-endpoint: unix://{after.shim.address}\n" in found.text(CRICTL)
    assert f"ListenStream={after.shim.address}\n" in found.text("/etc/systemd/system/cri-shim.socket")


def test_as_a_drop_in_clients_find_cri_shim_where_containerd_was_and_shims_find_containerd(found: System) -> None:
    address = settings(found).containerd.grpc.address
    found.install("--apply", "--drop-in")
    after = settings(found)
    assert after.containerd.disabled_plugins == (CRI,)
    assert (after.shim.pass_through, after.shim.address) == (True, address)
    assert after.containerd.grpc.address == address.replace(".sock", "-own.sock")
    assert after.containerd.ttrpc.address == f"{address}.ttrpc"
    assert f"ListenStream={address}\n" in found.text("/etc/systemd/system/cri-shim.socket")
    assert f"image-endpoint: unix://{address}\n" in found.text(CRICTL)


def test_where_containerd_imports_a_directory_its_own_file_is_left_alone(system: System) -> None:
    system.write(CONTAINERD, "version = 3\nimports = ['/etc/containerd/conf.d/*.toml']\n")
    before = system.text(CONTAINERD)
    system.install("--apply", "--drop-in")
    assert system.text(CONTAINERD) == before
    assert tomllib.loads(system.text(CONF_D))["disabled_plugins"] == [CRI]


def test_an_edit_keeps_comments_order_and_style(system: System) -> None:
    system.write(
        CONTAINERD, "# one\nversion = 2 # two\n\ndisabled_plugins = [\n  'io.x', # three\n]\n[grpc]\n  gid = 7\n"
    )
    system.install("--apply", "--drop-in")
    expected = f"""# one
version = 2 # two

disabled_plugins = [
  'io.x', # three
  "{CRI}",
]
[grpc]
  gid = 7
address = "/run/containerd/containerd-own.sock"

[ttrpc]
address = "/run/containerd/containerd.sock.ttrpc"
"""
    assert system.text(CONTAINERD) == expected


def test_what_an_image_gets_lies_in_etc_alone_and_starts_at_boot(system: System) -> None:
    system.install("--apply", "--drop-in")
    assert {path.partition("/")[0] for path in system.everything()} == {"etc"}
    wants = system.path("/etc/systemd/system/multi-user.target.wants/cri-shim.service")
    assert str(wants.readlink()) == "/etc/systemd/system/cri-shim.service"
    assert "ExecStart=/opt/cri-shim/bin/cri-shim serve\n" in system.text("/etc/systemd/system/cri-shim.service")


def test_the_units_of_a_package_are_used_where_they_say_the_same(system: System) -> None:
    system.install("--apply")
    for name in ("cri-shim.service", "cri-shim.socket"):
        system.write(f"/usr/lib/systemd/system/{name}", system.text(f"/etc/systemd/system/{name}"))
    system.run("uninstall", "--apply")
    system.install("--apply")
    assert not system.path("/etc/systemd/system/cri-shim.service").exists()
    wants = system.path("/etc/systemd/system/sockets.target.wants/cri-shim.socket")
    assert str(wants.readlink()) == "/usr/lib/systemd/system/cri-shim.socket"


def test_a_file_that_was_changed_since_is_left_and_named_and_can_be_undone_once_it_is_mended(system: System) -> None:
    system.write(CONTAINERD, "version = 3\n")
    system.install("--apply")
    ours = system.text(CONTAINERD)
    system.write(CONTAINERD, ours + "oom_score = -999\n")
    result = system.run("uninstall", "--apply")
    assert result.exit_code == 1
    assert f"note: {CONTAINERD} has been changed since" in result.output
    assert not system.path("/etc/systemd/system/cri-shim.service").exists()
    system.write(CONTAINERD, ours)
    assert system.run("uninstall", "--apply").exit_code == 0
    assert system.everything().keys() == {"etc", "etc/containerd", "etc/containerd/config.toml"}
    assert system.text(CONTAINERD) == "version = 3\n"


def test_what_somebody_reset_is_installed_again_and_undone_to_what_they_made(system: System) -> None:
    system.write(CONTAINERD, "version = 3\n")
    system.install("--apply")
    system.write(CONTAINERD, "version = 3\nroot = '/data'\n")
    system.install("--apply")
    assert settings(system).containerd.disabled_plugins == (CRI,)
    system.run("uninstall", "--apply")
    assert system.text(CONTAINERD) == "version = 3\nroot = '/data'\n"


def test_an_interrupted_installation_is_undone_by_its_record(system: System) -> None:
    system.write(CRICTL, "timeout: 7\n")
    before = system.everything()
    system.install("--apply")
    system.path("/etc/systemd/system/cri-shim.service").unlink()  # as if it had not come so far
    system.write(CRICTL, "timeout: 7\n")
    assert system.run("uninstall", "--apply").exit_code == 0
    assert system.everything() == before


def test_one_mode_is_refused_where_the_other_is_installed(system: System) -> None:
    system.install("--apply")
    result = system.run("install", "--drop-in")
    assert result.exit_code == 1
    assert "undo it first, by `cri-shim uninstall --apply`" in result.output


def test_the_record_is_for_root_alone_since_it_holds_what_files_held(system: System) -> None:
    system.install("--apply")
    assert system.path(MANIFEST).stat().st_mode & 0o777 == 0o600
    assert json.loads(system.text(MANIFEST))["mode"] == "own-socket"


def test_a_configuration_that_can_not_be_used_is_refused_before_anything_is_changed(system: System) -> None:
    system.write(CONTAINERD, "version = 'x'\n")
    before = system.everything()
    result = system.run("install", "--apply")
    assert result.exit_code != 0
    assert f"{CONTAINERD}:1" in result.output
    assert system.everything() == before


def test_a_path_that_can_not_stand_in_a_unit_is_refused(system: System) -> None:
    result = system.run("install", "--apply", "--executable", "/opt/my shim/cri-shim")
    assert result.exit_code == 1
    assert "'/opt/my shim/cri-shim' can't stand in a systemd unit" in result.output


def test_a_root_directory_that_is_not_there_is_refused(system: System) -> None:
    system.root /= "none"
    result = system.run("install", "--apply")
    assert result.exit_code == 2
    assert "does not exist" in result.output
