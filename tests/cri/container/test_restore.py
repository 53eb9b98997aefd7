"""Which image of a container is a checkpoint, and which may be restored."""

from __future__ import annotations

import os
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cri_shim.api.containerd.types.runc.options import oci_pb2
from cri_shim.config import default
from cri_shim.containerd import typeurl
from cri_shim.cri.container.restore import Checkpoint, named, reasons, restore_log, restore_options
from cri_shim.errors import FailedPrecondition, InvalidArgument
from cri_shim.oci.image import ImageConfig
from cri_shim.state.images import ImageRecord
from cri_shim.state.sandbox import RuntimeChoice

PLAIN = ImageRecord("sha256:1", "sha256:2", ("a:1",), frozenset(), "", 0, ImageConfig())
OF_CHECKPOINT = replace(PLAIN, annotations={"org.criu.checkpoint.container.name": "main"})
RUNC = "io.containerd.runc.v2"


def node(*, allowed, directories=(), image=PLAIN):
    settings = default()
    runtime = replace(settings.runtime, enable_experimental_restore_via_create=allowed)
    shim = replace(settings.shim, checkpoint_dirs=tuple(map(str, directories)))
    images = SimpleNamespace(resolve=lambda _: image)
    return cast("Any", SimpleNamespace(settings=replace(settings, runtime=runtime, shim=shim), images=images))


def test_nothing_is_restored_unless_it_is_allowed(tmp_path):
    with pytest.raises(FailedPrecondition, match="set enable_experimental_restore_via_create"):
        named(node(allowed=False, directories=[tmp_path]), str(tmp_path / "a.tar"))
    assert named(node(allowed=False, image=OF_CHECKPOINT), "a:1") is OF_CHECKPOINT


def test_an_image_is_a_checkpoint_by_its_annotation():
    assert named(node(allowed=True), "a:1") is PLAIN
    assert named(node(allowed=True, image=OF_CHECKPOINT), "a:1") == Checkpoint("checkpoint a:1", image=OF_CHECKPOINT)


def test_an_archive_is_below_one_of_the_directories_with_all_links_followed(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "link.tar").symlink_to(outside / "a.tar")
    (tmp_path / "alias").symlink_to(inside)
    parts = node(allowed=True, directories=[inside])
    found = named(parts, str(tmp_path / "alias" / "a.tar"))
    assert isinstance(found, Checkpoint)
    assert found.path == str(inside / "a.tar")
    for path in (
        outside / "a.tar",
        inside / ".." / "outside" / "a.tar",
        inside / "link.tar",
        inside,
        f"{inside}side/a",
    ):
        with pytest.raises(InvalidArgument, match="not below any of checkpoint_dirs"):
            named(parts, str(path))


def test_a_runtime_is_told_of_the_checkpoint_beside_its_own_options():
    options = typeurl.pack(oci_pb2.Options(binary_name="crun", systemd_cgroup=True))
    told = typeurl.unpack(restore_options(RuntimeChoice(RUNC, options), "/r"), oci_pb2.Options)
    assert (told.binary_name, told.systemd_cgroup) == ("crun", True)
    assert (told.criu_image_path, told.criu_work_path) == ("/r/checkpoint", "/r")
    assert typeurl.unpack(restore_options(RuntimeChoice(RUNC), "/r"), oci_pb2.Options).criu_work_path == "/r"


def test_the_log_begins_with_the_checkpoints_and_no_other_is_touched(tmp_path):
    (tmp_path / "container.log").write_text("said before\n")
    log = tmp_path / "pod" / "main" / "0.log"
    assert restore_log(str(tmp_path), str(log))
    assert log.read_text() == "said before\n"
    log.write_text("another's\n")
    assert not restore_log(str(tmp_path), str(log))
    assert log.read_text() == "another's\n"
    (tmp_path / "victim").write_text("x")
    (tmp_path / "1.log").symlink_to(tmp_path / "victim")
    assert not restore_log(str(tmp_path), str(tmp_path / "1.log"))
    assert (tmp_path / "victim").read_text() == "x"
    assert not restore_log(str(tmp_path), "")
    os.unlink(tmp_path / "container.log")
    assert not restore_log(str(tmp_path), str(tmp_path / "2.log"))


def test_what_criu_complains_of_is_told(tmp_path):
    assert reasons(str(tmp_path)) == ""
    (tmp_path / "restore.log").write_text("Warn  (x): odd\n(00.1) Error (y): Bad magic in inventory.img\nbye\n")
    assert reasons(str(tmp_path)) == "(00.1) Error (y): Bad magic in inventory.img"
