"""Whether a node has SELinux, what its policy says of containers, and labelling: attributes that any kernel keeps."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from cri_shim.errors import FailedPrecondition
from cri_shim.linux import selinux
from cri_shim.oci.selinux import Contexts, Label

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OLD = "system_u:object_r:var_lib_t:s0"
NEW = "system_u:object_r:container_file_t:s0:c1,c2"
LXC_CONTEXTS = """\
# contexts of containers

; another remark = "none"
process = "system_u:system_r:container_t:s0"
content = "system_u:object_r:virt_var_lib_t:s0"
file="system_u:object_r:container_file_t:s0"
kvm_process = "system_u:system_r:container_kvm_t:s0"
"""
FOUND = Contexts(
    Label("system_u", "system_r", "container_t", "s0"),
    Label("system_u", "object_r", "container_file_t", "s0"),
    "container_kvm_t",
)


def test_a_directory_of_another_file_system_is_no_selinux(tmp_path: Path) -> None:
    assert not selinux.enabled(str(tmp_path))
    assert not selinux.enabled(str(tmp_path / "missing"))


class TestContexts:
    @pytest.fixture
    def in_use(self, tmp_path: Path) -> Callable[..., Contexts | None]:
        """What is found in a tree as /etc/selinux, with the policies `targeted` and `mls`, and a vendor's file."""
        (tmp_path / "config").write_text("# SELINUXTYPE=mls\nSELINUX=enforcing\nSELINUXTYPE=targeted\n")

        def ask(targeted: str | None, vendor: str | None = None, **asked: bool) -> Contexts | None:
            for name, text in (("targeted", targeted), ("mls", "process=a:b:c\nfile=a:b:d")):
                if text is not None:
                    (tmp_path / name / "contexts").mkdir(parents=True)
                    (tmp_path / name / "contexts" / "lxc_contexts").write_text(text)
            if vendor is not None:
                (tmp_path / "vendor").write_text(vendor)
            paths = {"policies": str(tmp_path), "vendor": str(tmp_path / "vendor")}
            return selinux.contexts_in_use(**{"wanted": True, "there": True, **asked}, **paths)

        return ask

    def test_they_are_the_configured_policys(self, in_use: Callable[..., Contexts | None]) -> None:
        assert in_use(LXC_CONTEXTS) == FOUND

    def test_a_file_of_the_vendors_comes_first(self, in_use: Callable[..., Contexts | None]) -> None:
        assert in_use("process=x:y:z\nfile=x:y:z", LXC_CONTEXTS) == FOUND

    def test_a_virtual_machine_is_a_process_like_others_where_nothing_else_is_said(
        self, in_use: Callable[..., Contexts | None]
    ) -> None:
        assert in_use("process = u:r:t\nfile = u:object_r:f") == Contexts(
            Label("u", "r", "t"), Label("u", "object_r", "f"), "t"
        )

    @pytest.mark.parametrize("text", [None, "", 'process = "u:r:t:s0"\n', "process = x\nfile = a:b:c\n"])
    def test_where_labels_would_count_and_there_are_none_the_start_is_refused(
        self, in_use: Callable[..., Contexts | None], text: str | None
    ) -> None:
        with pytest.raises(FailedPrecondition, match="containers"):
            in_use(text)

    def test_not_wanted_it_says_nothing(self, in_use: Callable[..., Contexts | None]) -> None:
        with capture_logs() as logs:
            assert in_use(LXC_CONTEXTS, wanted=False) is None
        assert logs == []

    def test_wanted_where_there_is_none_it_warns(self, in_use: Callable[..., Contexts | None]) -> None:
        with capture_logs() as logs:
            assert in_use(LXC_CONTEXTS, there=False) is None
        assert [entry["log_level"] for entry in logs] == ["warning"]


@pytest.mark.parametrize(
    "path", ["/", "//", "/./", "/usr", "//usr", "/usr/", "/usr/../usr", "/bin", "/var/lib", "/etc/passwd", "/home"]
)
def test_what_the_node_lives_by_is_never_relabelled(path: str) -> None:
    with pytest.raises(PermissionError, match="never relabelled"):
        selinux.check_relabel(path)  # the check alone: a test must not be what finds the way round it


def test_nor_is_the_home_of_who_started_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SUDO_USER", "nobody-of-that-name")
    with pytest.raises(PermissionError, match="never relabelled"):
        selinux.relabel(f"{tmp_path}//home/", NEW)
    selinux.check_relabel(str(tmp_path))


def label_of(path: Path) -> str:
    return os.getxattr(path, selinux.ATTRIBUTE, follow_symlinks=False).decode()


class TestRelabel:
    @pytest.fixture
    def here(self, tmp_path: Path) -> Path:
        """A directory where labels can be written; beside it one file that no test may touch."""
        tree = tmp_path / "tree"
        tree.mkdir()
        (tmp_path / "outside").write_text("")
        try:
            for path in (tree, tmp_path / "outside"):
                os.setxattr(path, selinux.ATTRIBUTE, OLD.encode())
        except OSError as error:
            pytest.skip(f"labels can't be written here: {error}")
        return tree

    def test_all_of_a_tree_gets_the_label_and_nothing_else(self, here: Path) -> None:
        (here / "a" / "b").mkdir(parents=True)
        (here / "a" / "b" / "file").write_text("")
        os.mkfifo(here / "fifo")
        (here / "to_file").symlink_to(here.parent / "outside")
        (here / "to_directory").symlink_to(here.parent)
        (here / "dangling").symlink_to("nowhere")
        selinux.relabel(str(here), NEW)
        assert {label_of(path) for path in (here, *here.rglob("*"))} == {NEW}
        assert label_of(here.parent / "outside") == OLD

    def test_a_file_alone_will_do(self, here: Path) -> None:
        selinux.relabel(str(here.parent / "outside"), NEW)
        assert label_of(here.parent / "outside") == NEW

    def test_what_has_the_label_is_not_written_to(self, here: Path) -> None:
        (here / "file").write_text("")
        selinux.relabel(str(here), NEW)
        before = [path.lstat().st_ctime_ns for path in (here, here / "file")]
        (here / "new").write_text("")
        changed = here.lstat().st_ctime_ns
        selinux.relabel(str(here), NEW)
        assert [here.lstat().st_ctime_ns, (here / "file").lstat().st_ctime_ns] == [changed, before[1]]
        assert label_of(here / "new") == NEW

    def test_what_is_gone_is_done(self, here: Path) -> None:
        selinux.relabel(str(here / "gone"), NEW)

    def test_what_can_have_no_label_stays(self) -> None:
        selinux.relabel("/proc/self/status", NEW)

    def test_directories_without_end_are_refused_before_files_run_out(
        self, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(selinux, "DEEPEST", 3)
        (here / "1" / "2").mkdir(parents=True)
        selinux.relabel(str(here), NEW)
        (here / "1" / "2" / "3").mkdir()
        with pytest.raises(OSError, match="deep"):
            selinux.relabel(str(here), OLD)
        assert label_of(here) == NEW  # itself last: it isn't taken for done
