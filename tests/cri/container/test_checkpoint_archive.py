"""Checkpoints from strangers: what is taken from them, what is refused, and that nothing is written beside."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.cri.container import checkpoint_archive as archive
from cri_shim.cri.container.checkpoint_archive import Budget, Description
from cri_shim.errors import InvalidArgument, ResourceExhausted

SUBJECT = "checkpoint x"


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "inside" / "checkpoint").mkdir(parents=True)
    return tmp_path / "inside"


def tar(*members: tuple, form=tarfile.PAX_FORMAT):
    """An archive of `(name, content)`, or of members with what `fields` say."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as made:
        for name, content, *fields in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in (fields[0] if fields else {}).items():
                setattr(member, key, value)
            made.addfile(member, io.BytesIO(content))
    return file.getvalue()


def unpack(content, directory, limit=1 << 20):
    (directory.parent / "archive.tar").write_bytes(content)
    with open(directory.parent / "archive.tar", "rb") as file:
        archive.unpack(file, str(directory), Budget(SUBJECT, limit))


def found(directory):
    return {
        os.path.relpath(os.path.join(where, name), directory): (directory / where / name).read_bytes()
        for where, _, names in os.walk(directory)
        for name in names
    }


def test_what_a_restore_needs_is_taken_and_nothing_else(directory):
    unpack(
        tar(
            ("./config.dump", b"{}"),
            ("checkpoint", b"", {"type": tarfile.DIRTYPE}),
            ("checkpoint/pages-1.img", b"pages"),
            ("container.log", b"log"),
            ("rootfs-diff.tar", b"layer"),
            ("spec.dump", b"hooks"),
            ("status.dump", b"status"),
            ("checkpoint/deeper/x", b"x"),
            ("checkpoint/.hidden", b"x"),
            ("network.status", b"x"),
        ),
        directory,
    )
    assert found(directory) == {
        "config.dump": b"{}",
        "checkpoint/pages-1.img": b"pages",
        "container.log": b"log",
        "rootfs-diff.tar": b"layer",
    }
    assert (directory / "container.log").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "member",
    [
        ("../x", b"x"),
        ("/etc/x", b"x"),
        ("checkpoint/../../x", b"x"),
        ("checkpoint/a", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc"}),
        ("checkpoint", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc"}),
        ("checkpoint/a", b"", {"type": tarfile.LNKTYPE, "linkname": "/etc/shadow"}),
        ("unused", b"", {"type": tarfile.CHRTYPE}),
        ("unused", b"", {"type": tarfile.BLKTYPE}),
        ("unused", b"", {"type": tarfile.FIFOTYPE}),
        ("checkpoint/a", b"x", {"pax_headers": {"GNU.sparse.map": "0,1099511627776", "GNU.sparse.size": "1"}}),
    ],
    ids=lambda member: str(member[0]) + str(member[2:]),
)
def test_an_archive_with_anything_but_files_inside_is_refused(directory, member):
    with pytest.raises(InvalidArgument, match=SUBJECT):
        unpack(tar(member), directory)
    assert set(os.listdir(directory.parent)) == {"inside", "archive.tar"}
    assert found(directory) == {}


def test_a_name_that_comes_twice_is_refused(directory):
    with pytest.raises(InvalidArgument, match="twice"):
        unpack(tar(("container.log", b"a"), ("container.log", b"b")), directory)


def test_no_more_is_written_than_is_allowed(directory):
    with pytest.raises(ResourceExhausted, match="checkpoint_limit"):
        unpack(tar(("checkpoint/a", b"x" * 600), ("checkpoint/b", b"x" * 600)), directory, limit=1000)
    assert sum(map(len, found(directory).values())) <= 1000


def test_a_header_that_claims_to_be_huge_is_not_taken_into_memory(directory):
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 4 << 30
    with open(directory.parent / "archive.tar", "wb") as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT))
        file.truncate(5 << 30)  # and there is enough of it
    with open(directory.parent / "archive.tar", "rb") as file, pytest.raises(InvalidArgument, match="header of"):
        archive.unpack(file, str(directory), Budget(SUBJECT, 1 << 20))


@given(content=st.binary(max_size=2000))
def test_what_is_no_archive_is_said_to_be_none(tmp_path_factory, content):
    directory = tmp_path_factory.mktemp("archive") / "inside"
    (directory / "checkpoint").mkdir(parents=True)
    with suppress(InvalidArgument):
        unpack(content, directory)
    assert set(found(directory)) <= {"config.dump", "rootfs-diff.tar", "container.log"}


@given(data=st.data())
def test_a_damaged_archive_is_read_or_refused_and_nothing_else(tmp_path_factory, data):
    content = bytearray(tar(("config.dump", b"{}"), ("checkpoint/a", b"x" * 700), ("x" * 120, b"long name")))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[at] = data.draw(st.integers(0, 255))
    directory = tmp_path_factory.mktemp("archive") / "inside"
    (directory / "checkpoint").mkdir(parents=True)
    with suppress(InvalidArgument, ResourceExhausted):
        unpack(bytes(content), directory)
    assert set(os.listdir(directory.parent)) == {"inside", "archive.tar"}


def test_a_compressed_layer_counts_at_its_full_size(tmp_path):
    (tmp_path / "packed").write_bytes(gzip.compress(bytes(10 << 20)))
    with pytest.raises(ResourceExhausted, match="compressed content at its full size"):
        archive.decompressed(str(tmp_path / "packed"), str(tmp_path / "plain"), Budget(SUBJECT, 1 << 20))
    assert (tmp_path / "plain").stat().st_size <= 1 << 20


@pytest.mark.parametrize("content", [tar(("a", b"b")), b"", b"\x1f"])
def test_a_layer_that_is_not_compressed_is_taken_as_it_is(tmp_path, content):
    (tmp_path / "packed").write_bytes(content)
    archive.decompressed(str(tmp_path / "packed"), str(tmp_path / "plain"), Budget(SUBJECT, 1 << 20))
    assert (tmp_path / "plain").read_bytes() == content


def test_a_broken_compression_is_said_to_be_one(tmp_path):
    (tmp_path / "packed").write_bytes(gzip.compress(b"x" * 1000)[:-20])
    with pytest.raises(InvalidArgument, match="decompressed"):
        archive.decompressed(str(tmp_path / "packed"), str(tmp_path / "plain"), Budget(SUBJECT, 1 << 20))


def test_a_layer_may_have_links_and_whiteouts(tmp_path):
    links = {"type": tarfile.SYMTYPE, "linkname": "/etc/x"}
    (tmp_path / "layer").write_bytes(tar(("etc/.wh.passwd", b""), ("bin/sh", b"", links), ("a", b"b")))
    archive.check_layer(str(tmp_path / "layer"), Budget(SUBJECT, 1000))


@pytest.mark.parametrize(
    "member",
    [
        ("dev/sda", b"", {"type": tarfile.BLKTYPE}),
        ("dev/mem", b"", {"type": tarfile.CHRTYPE}),
        ("../x", b"x"),
        ("x", b"", {"pax_headers": {"SCHILY.xattr.trusted.overlay.redirect": "/"}}),
        ("x", b"x", {"pax_headers": {"GNU.sparse.map": "0,1099511627776", "GNU.sparse.size": "1"}}),
    ],
    ids=lambda member: str(member[0]) + str(member[2:]),
)
def test_a_layer_with_devices_holes_or_overlays_own_attributes_is_refused(tmp_path, member):
    (tmp_path / "layer").write_bytes(tar(("a", b"b"), member))
    with pytest.raises(InvalidArgument, match=SUBJECT):
        archive.check_layer(str(tmp_path / "layer"), Budget(SUBJECT, 1000))


def test_the_image_below_is_what_the_description_says(tmp_path):
    (tmp_path / "config.dump").write_text('{"id": "1", "rootfsImageName": "a:1", "rootfsImageRef": "a@sha256:1"}')
    assert archive.describe(str(tmp_path), SUBJECT) == Description("a:1", "a@sha256:1")


@pytest.mark.parametrize("content", ["", "[]", '{"rootfsImageName": 5}', "x" * (2 << 20)])
def test_a_description_that_can_not_be_read_is_refused(tmp_path, content):
    (tmp_path / "config.dump").write_text(content)
    with pytest.raises(InvalidArgument, match="can't be read"):
        archive.describe(str(tmp_path), SUBJECT)


def test_an_archive_without_a_description_is_no_checkpoint(tmp_path):
    with pytest.raises(InvalidArgument, match=r"no config\.dump: it is not a container's checkpoint"):
        archive.describe(str(tmp_path), SUBJECT)
