"""The wheel has all that is needed: installed in an environment of its own, it answers, serves, and installs itself."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from grpclib.client import Channel

from cri_shim import __version__
from cri_shim.api.runtime import v1 as cri
from integration.harness import rootfs
from integration.harness.assembly import running_node
from integration.harness.guardian import PROJECT
from integration.kubelet import BUSYBOX, Kubelet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from integration.harness.assembly import RunningNode

pytestmark = [pytest.mark.anyio, pytest.mark.shim_only]

COMMAND = f"{rootfs.PYTHON}/bin/cri-shim"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this source tree, as pip builds it."""
    directory = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(directory), str(PROJECT)], check=True
    )
    return next(directory.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Iterator[RunningNode]:
    """A node that runs cri-shim from it."""
    with running_node(wheel=wheel) as running:
        yield running


def test_the_generated_code_and_the_units_are_in_it_and_nothing_of_the_checkout(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "cri_shim/api/runtime/v1/__init__.py" in names
    assert "cri_shim/install/units/cri-shim.service" in names
    assert {name.partition("/")[0] for name in names} == {"cri_shim", f"cri_shim-{__version__}.dist-info"}


def test_its_command_answers(installed: RunningNode) -> None:
    node = installed.node
    assert node.run([COMMAND, "version"]).stdout.startswith(f"cri-shim {__version__} (CRI v1; Python ")
    assert tomllib.loads(node.run([COMMAND, "config", "default"]).stdout)["version"] == 3
    assert f"ExecStart={COMMAND} serve\n" in node.run([COMMAND, "install"]).stdout
    assert "complete -o nosort -F" in node.run([COMMAND, "completion", "bash"]).stdout


async def test_it_serves(installed: RunningNode) -> None:
    assert installed.shim
    with closing(Channel(path=str(installed.shim.socket))) as channel:
        kubelet = Kubelet(cri.RuntimeServiceStub(channel), cri.ImageServiceStub(channel), str(installed.node.root))
        await kubelet.images.pull_image(cri.PullImageRequest(image=cri.ImageSpec(image=BUSYBOX)))
        container = await kubelet.run(await kubelet.run_pod(), kubelet.container_config(["sh", "-c", "exit 7"]))
        assert (await kubelet.exited(container)).exit_code == 7
        await kubelet.remove_all()
