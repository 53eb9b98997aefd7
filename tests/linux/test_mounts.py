"""Mount options and mountinfo, pure; and, as root, mounts in the test's own directory."""

from __future__ import annotations

import contextlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim import errors
from cri_shim.linux import files, mount_options, mountinfo, mounts
from cri_shim.linux import syscalls as sc

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")

FLAGS = list(mount_options._SET) + list(mount_options._CLEAR)
PATHS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20).map("/".__add__)


def escaped(text):
    return b"".join(b"\\%03o" % byte if byte in b" \t\n\\#" else bytes([byte]) for byte in os.fsencode(text))


@given(st.lists(st.tuples(PATHS, PATHS, st.booleans(), st.booleans())))
def test_every_line_of_mountinfo_is_read_as_written(rows):
    table = b"".join(
        b"%d 1 8:1 %s %s rw,nosuid %s%s- ext4 /dev/sda1 rw\n"
        % (number, escaped(root), escaped(target), b"shared:2 " * shared, b"master:3 " * slave)
        for number, (root, target, shared, slave) in enumerate(rows)
    )
    points = mountinfo.parse(table)
    assert [(p.root, p.target, p.propagation.shared, p.propagation.slave) for p in points] == rows
    assert all((p.fstype, p.source, p.options) == ("ext4", "/dev/sda1", ("rw", "nosuid")) for p in points)


def test_a_source_that_is_empty_is_read():
    (point,) = mountinfo.parse(b"36 35 98:0 / /x rw - tmpfs  rw\n")
    assert (point.fstype, point.source, point.super_options) == ("tmpfs", "", ("rw",))


@given(st.binary())
def test_anything_else_is_refused_as_no_line_of_mountinfo(data):
    with contextlib.suppress(errors.Internal):
        mountinfo.parse(data)


def test_our_own_mounts_can_be_read():
    points = mountinfo.read()
    assert mounts.covering(points, "/proc").fstype == "proc"


def test_the_mount_that_covers_a_path_is_the_deepest_and_of_several_the_last():
    table = "1 0 0:1 / / rw - a a rw\n2 1 0:2 / /a rw - b b rw\n3 2 0:3 / /a rw - c c rw\n4 1 0:4 / /ab rw - d d rw\n"
    points = mountinfo.parse(table.encode())
    covered = {path: mounts.covering(points, path).mount_id for path in ("/", "/a", "/a/b", "/ab", "/abc")}
    assert covered == {"/": 1, "/a": 3, "/a/b": 3, "/ab": 4, "/abc": 1}


def test_options_are_flags_propagation_and_the_file_systems_own():
    parsed = mount_options.parse(["rbind", "ro", "nosuid", "rslave", "size=64k", "mode=1777"])
    assert parsed.flags == sc.MS_BIND | sc.MS_REC | sc.MS_RDONLY | sc.MS_NOSUID
    assert parsed.propagation == sc.MS_SLAVE | sc.MS_REC
    assert parsed.data == "size=64k,mode=1777"
    assert parsed.readonly_bind


@given(st.lists(st.sampled_from(FLAGS)))
def test_words_for_flags_never_reach_the_file_system(options):
    assert mount_options.parse(options).data == ""


@pytest.mark.parametrize(("first", "second"), [("ro", "rw"), ("nosuid", "suid"), ("noexec", "exec")])
def test_of_two_contradicting_options_the_later_wins(first, second):
    assert mount_options.parse([first, second]).flags == 0
    assert mount_options.parse([second, first]).flags != 0


@pytest.mark.parametrize("option", ["loop", "X-containerd.mkfs=x"])
def test_what_mount_cannot_do_is_refused_by_name(option):
    with pytest.raises(errors.Unimplemented, match=option.split("=", maxsplit=1)[0]):
        mount_options.parse([option])


def test_maps_of_ids_are_no_affair_of_the_file_system_and_go_together():
    parsed = mount_options.parse(["index=off", "uidmap=0:1:2", "gidmap=0:3:4"])
    assert (parsed.data, parsed.id_maps) == ("index=off", ("0:1:2", "0:3:4"))
    with pytest.raises(errors.InvalidArgument, match="gidmap alone"):
        mount_options.parse(["gidmap=0:1:2"])


def test_a_read_only_overlay_has_its_upper_directory_as_its_topmost_lower_one():
    options = mount_options.readonly(["index=off", "workdir=/w", "upperdir=/u", "lowerdir=/a:/b", "uidmap=0:1:1"])
    assert options == ("index=off", "lowerdir=/u:/a:/b", "ro")


def test_a_fuse_mount_is_refused(tmp_path):
    with pytest.raises(errors.Unimplemented, match="FUSE"):
        mounts.mount("x", str(tmp_path), "fuse.stargz", [])


def test_an_overlay_with_too_many_layers_for_a_page_is_refused_with_what_to_do(tmp_path):
    lower = ":".join(f"/some/where/{'x' * 90}/{number}" for number in range(100))
    with pytest.raises(errors.InvalidArgument, match="too many layers"):
        mounts.mount("overlay", str(tmp_path), "overlay", [f"lowerdir={lower.replace('/some', '/other', 1)}"])


def test_nothing_mounted_can_be_unmounted_by_anybody(tmp_path):
    assert not mounts.is_mountpoint(str(tmp_path))
    assert not mounts.is_mountpoint(str(tmp_path / "none"))


@pytest.fixture
def here(tmp_path):
    """A directory on a tmpfs of its own, private, so that nothing spreads."""
    mounts.mount("tmpfs", str(tmp_path), "tmpfs", ["private"])
    yield tmp_path
    files.unmount_below(str(tmp_path))


@needs_root
class TestMounts:
    def test_a_tmpfs_is_mounted_with_its_options(self, here):
        (here / "shm").mkdir()
        mounts.mount("shm", str(here / "shm"), "tmpfs", ["noexec", "nosuid", "nodev", "mode=1777", "size=65536"])
        assert mounts.is_mountpoint(str(here / "shm"))
        point = mounts.covering(mountinfo.read(), str(here / "shm"))
        assert (point.source, {"noexec", "nosuid", "nodev"} <= set(point.options)) == ("shm", True)
        mounts.unmount(str(here / "shm"))
        mounts.unmount(str(here / "shm"))
        assert not mounts.is_mountpoint(str(here / "shm"))

    def test_a_read_only_bind_mount_is_read_only(self, here):
        (here / "from").mkdir()
        (here / "to").mkdir()
        mounts.mount(str(here / "from"), str(here / "to"), "", ["rbind", "ro"])
        with pytest.raises(OSError, match="Read-only"):
            (here / "to" / "file").touch()
        (here / "from" / "file").touch()

    def test_recursive_read_only_reaches_the_mounts_below(self, here):
        (here / "from/sub").mkdir(parents=True)
        (here / "to").mkdir()
        mounts.mount("tmpfs", str(here / "from/sub"), "tmpfs", [])
        mounts.mount(str(here / "from"), str(here / "to"), "", ["rbind", "rro"])
        with pytest.raises(OSError, match="Read-only"):
            (here / "to/sub/file").touch()

    def test_propagation_is_set_and_told(self, here):
        assert mounts.propagation_of(str(here)) == mounts.Propagation()
        mounts.mount("", str(here), "", ["shared"])
        assert mounts.propagation_of(str(here)) == mounts.Propagation(shared=True)

    def test_a_mount_whose_second_step_fails_is_undone(self, here, monkeypatch):
        def refuse(target):
            raise OSError(38, "Function not implemented", target)

        monkeypatch.setattr(sc, "mount_setattr_readonly", refuse)
        (here / "to").mkdir()
        with pytest.raises(OSError, match="not implemented"):
            mounts.mount(str(here), str(here / "to"), "", ["bind", "rro"])
        assert not mounts.is_mountpoint(str(here / "to"))

    def test_an_overlay_with_more_layers_than_a_page_holds_is_mounted(self, here):
        layers = [here / f"{'layer' * 20}" / f"{number:03}" for number in range(60)]
        for layer in layers:
            layer.mkdir(parents=True)
            (layer / layer.name).touch()
        (here / "to").mkdir()
        before = os.getcwd()
        mounts.mount("overlay", str(here / "to"), "overlay", ["lowerdir=" + ":".join(map(str, layers))])
        assert len(os.listdir(here / "to")) == 60
        assert os.getcwd() == before

    def test_a_temporary_mount_is_there_for_its_block_only(self, here):
        (here / "rootfs").mkdir()
        (here / "rootfs" / "passwd").write_text("root")
        mount = mounts.Mount("bind", str(here / "rootfs"), options=("rbind", "rw"))
        with mounts.temporary([mount], readonly=True, directory=str(here)) as root:
            assert (here / root / "passwd").read_text() == "root"
            with pytest.raises(OSError, match="Read-only"):
                (here / root / "x").touch()
        assert not os.path.exists(root)
        assert (here / "rootfs" / "passwd").exists()

    def test_a_tree_is_removed_without_what_is_mounted_in_it(self, here):
        (here / "kept").mkdir()
        (here / "kept" / "file").touch()
        (here / "tree/deep/mount").mkdir(parents=True)
        mounts.mount(str(here / "kept"), str(here / "tree/deep/mount"), "", ["bind"])
        files.remove_tree(str(here / "tree"))
        assert not (here / "tree").exists()
        assert (here / "kept" / "file").exists()
        files.remove_tree(str(here / "tree"))
