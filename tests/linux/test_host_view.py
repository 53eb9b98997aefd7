from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest

from cri_shim.linux import host_view
from cri_shim.linux.host_view import LinuxHostView
from cri_shim.linux.mountinfo import parse
from cri_shim.oci.host_view import HostMount, Propagation

if TYPE_CHECKING:
    from pathlib import Path

HOST = LinuxHostView()


def test_a_source_is_told_without_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert HOST.real_path(str(tmp_path / "link")) == str(tmp_path / "real")


def test_a_missing_source_is_made_as_a_directory(tmp_path: Path) -> None:
    made = tmp_path / "a/b"
    assert HOST.real_path(str(made)) == str(made)
    assert stat.S_IMODE(made.stat().st_mode) & 0o700 == 0o700
    assert made.is_dir()


def test_a_dangling_link_is_no_place_for_a_directory(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("none")
    with pytest.raises(FileExistsError):
        HOST.real_path(str(tmp_path / "link"))


MOUNTS = b"""1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
2 1 8:2 / /private rw - ext4 /dev/sda2 rw
3 1 8:3 / /slave rw master:1 - ext4 /dev/sda3 rw
4 1 8:4 / /both rw shared:2 master:1 - ext4 /dev/sda4 rw
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/any/where", HostMount("/", Propagation.SHARED)),
        ("/private/x", HostMount("/private", Propagation.PRIVATE)),
        ("/slave", HostMount("/slave", Propagation.SLAVE)),
        ("/both/x", HostMount("/both", Propagation.SHARED)),
    ],
)
def test_the_mount_of_a_path_is_told_with_how_it_spreads(
    monkeypatch: pytest.MonkeyPatch, path: str, expected: HostMount
) -> None:
    monkeypatch.setattr(host_view, "mountinfo", lambda: parse(MOUNTS))
    assert HOST.mount_of(path) == expected


def test_a_device_is_told_as_the_host_has_it(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    (found,) = HOST.devices(str(tmp_path / "null"))
    assert (found.path, found.below, found.type, found.major, found.minor) == ("/dev/null", "", "c", 1, 3)
    assert found.mode == stat.S_IMODE(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("kind", ["file", "fifo"])
def test_what_is_no_device_is_said_to_be_none(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    os.mkfifo(path) if kind == "fifo" else path.write_text("")
    with pytest.raises(OSError, match="not a device node") as caught:
        HOST.devices(str(path))
    assert caught.value.errno == errno.ENODEV
    with pytest.raises(FileNotFoundError):
        HOST.devices(str(tmp_path / "none"))


def make_devices(directory: Path) -> None:
    """A tree of devices, and of what is to be skipped."""
    for name in ("b/z", "b/a", "pts/0", "shm/x", "console", "null", "b/console"):
        path = directory / name
        path.parent.mkdir(exist_ok=True, parents=True)
        try:
            os.mknod(path, 0o640 | stat.S_IFCHR, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("device nodes take CAP_MKNOD")
    os.mkfifo(directory / "fifo")
    (directory / "file").write_text("")
    (directory / "link").symlink_to("null")
    (directory / "dir").symlink_to("b")


def test_a_directory_is_walked_in_order_and_what_is_no_device_of_the_machine_skipped(tmp_path: Path) -> None:
    make_devices(tmp_path)
    found = HOST.devices(str(tmp_path))
    assert [device.below for device in found] == ["b/a", "b/z", "null"]
    assert [device.path for device in found] == [str(tmp_path / device.below) for device in found]
    assert found[0].mode == 0o640


def test_all_devices_are_those_in_dev() -> None:
    paths = [device.path for device in HOST.all_devices()]
    assert "/dev/null" in paths
    assert not any(path.startswith(("/dev/pts/", "/dev/shm/")) for path in paths)
    assert "/dev/console" not in paths


def test_in_a_user_namespace_what_may_not_be_looked_at_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_devices(tmp_path)
    lstat, scandir = os.lstat, os.scandir

    def forbidden(path: str) -> os.stat_result:
        if path.endswith("/null"):
            raise PermissionError(errno.EACCES, "no", path)
        return lstat(path)

    def closed(path: str) -> object:
        if path.endswith("/b"):
            raise PermissionError(errno.EACCES, "no", path)
        return scandir(path)

    monkeypatch.setattr(host_view.os, "lstat", forbidden)
    with pytest.raises(PermissionError):
        HOST.devices(str(tmp_path))
    ours = LinuxHostView(in_user_namespace=True)
    assert [device.below for device in ours.devices(str(tmp_path))] == ["b/a", "b/z"]
    monkeypatch.setattr(host_view.os, "scandir", closed)
    with pytest.raises(PermissionError):
        HOST.devices(str(tmp_path))
    assert ours.devices(str(tmp_path)) == []


def test_a_device_that_goes_while_it_is_listed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").write_text("")

    def gone(path: str) -> os.stat_result:
        raise FileNotFoundError(errno.ENOENT, "gone", path)

    monkeypatch.setattr(host_view, "_device", lambda path, _below: gone(path))
    assert HOST.devices(str(tmp_path)) == []


def test_a_profile_is_a_regular_file_of_bounded_size(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text("{}")
    assert HOST.seccomp_profile(str(path)) == b"{}"
    with path.open("wb") as file:
        file.truncate((10 << 20) + 1)
    with pytest.raises(OSError, match="File too large"):
        HOST.seccomp_profile(str(path))
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        HOST.seccomp_profile(str(tmp_path / "fifo"))
    with pytest.raises(FileNotFoundError):
        HOST.seccomp_profile(str(tmp_path / "none"))


def test_loaded_apparmor_profiles_are_found_by_their_whole_name(tmp_path: Path) -> None:
    (tmp_path / "profiles").write_text("docker-default (enforce)\nmy profile (complain)\n")
    host = LinuxHostView(apparmor_profiles=str(tmp_path / "profiles"))
    assert host.apparmor_loaded("docker-default")
    assert host.apparmor_loaded("my profile")
    assert not host.apparmor_loaded("docker")
    with pytest.raises(FileNotFoundError):
        LinuxHostView(apparmor_profiles=str(tmp_path / "none")).apparmor_loaded("x")


def test_the_default_apparmor_profile_is_loaded_where_the_kernel_has_it_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(host_view.apparmor, "load", loaded.append)
    (tmp_path / "profiles").write_text("cri-containerd.apparmor.d.other (enforce)\n")
    host = LinuxHostView(apparmor_profiles=str(tmp_path / "profiles"))
    assert host.apparmor_loaded("cri-containerd.apparmor.d")
    (tmp_path / "profiles").write_text("cri-containerd.apparmor.d (enforce)\n")
    assert host.apparmor_loaded("cri-containerd.apparmor.d")
    assert loaded == ["cri-containerd.apparmor.d"]
