"""What is no image, or one for other machines, is told apart."""

from __future__ import annotations

import pytest

from cri_shim.cri.image.fitness import check_fitness
from cri_shim.errors import FailedPrecondition
from cri_shim.linux.binfmt import emulates
from cri_shim.oci.image import ImageConfig, RootFs

LAYERS = RootFs(diff_ids=["sha256:a"])


@pytest.mark.parametrize(
    ("node", "os", "architecture"),
    [("amd64", "linux", "amd64"), ("amd64", "linux", "386"), ("arm64", "linux", "arm"), ("amd64", "", "")],
)
def test_what_runs_here_is_fit(node, os, architecture):
    check_fitness("x", ImageConfig(os=os, architecture=architecture, rootfs=LAYERS), node, emulated=False)


@pytest.mark.parametrize(("os", "architecture"), [("linux", "arm64"), ("windows", "amd64"), ("linux", "riscv64")])
def test_what_is_for_others_is_refused_with_both_platforms(os, architecture):
    with pytest.raises(FailedPrecondition, match=f"is for {os}/{architecture}, this node runs linux/amd64"):
        check_fitness("x", ImageConfig(os=os, architecture=architecture, rootfs=LAYERS), "amd64", emulated=False)


def test_an_emulator_runs_other_processors_and_no_other_systems():
    check_fitness("x", ImageConfig(os="linux", architecture="s390x", rootfs=LAYERS), "amd64", emulated=True)
    with pytest.raises(FailedPrecondition):
        check_fitness("x", ImageConfig(os="windows", architecture="s390x", rootfs=LAYERS), "amd64", emulated=True)


def test_an_artifact_is_no_image():
    with pytest.raises(FailedPrecondition, match="no container image"):
        check_fitness("x", ImageConfig(), "amd64", emulated=True)


def test_an_emulator_counts_when_it_is_enabled(tmp_path):
    (tmp_path / "status").write_text("enabled\n")
    assert not emulates(str(tmp_path))
    (tmp_path / "qemu-s390x").write_text("disabled\ninterpreter /usr/bin/qemu-s390x\n")
    assert not emulates(str(tmp_path))
    (tmp_path / "qemu-s390x").write_text("enabled\ninterpreter /usr/bin/qemu-s390x\n")
    assert emulates(str(tmp_path))
    assert not emulates(str(tmp_path / "none"))
