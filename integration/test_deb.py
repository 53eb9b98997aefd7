"""The Debian package in Debian's releases: installed without a network, run, and purged without a trace."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cri_shim import __version__
from integration.harness import cache, rootfs
from integration.harness.node import Bind, Node, NodePlan

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.shim_only,
    pytest.mark.skipif("CRI_SHIM_DEB" not in os.environ, reason="`nox -s deb` builds the package, and names it"),
]

RELEASES = ("bookworm", "trixie", rootfs.SUITE)
PACKAGE = "/tmp/cri-shim.deb"
COMMAND = "/usr/bin/cri-shim"
NOT_OF_IT = ("/proc", "/sys", "/dev", "/tmp", "/run", "/var/lib/dpkg", "/var/log")


def root(release: str) -> tuple[Path, ...]:
    """The release with its Python, and nothing that isn't needed: built once."""
    if release == rootfs.SUITE:
        return (rootfs.debian(),)
    options = ["--variant=minbase", "--mode=root", "--format=directory", "--include=python3,procps,mount"]
    mirror = os.environ.get("CRI_SHIM_DEBIAN_MIRROR")

    def build(directory: Path) -> None:
        command = ["mmdebstrap", *options, '--aptopt=Acquire::Check-Valid-Until "false"', release, str(directory)]
        command += [mirror] if mirror else []
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return (cache.tree(f"debian-{release}", [release, options], build),)


@pytest.fixture(params=RELEASES)
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    package = str(Path(os.environ["CRI_SHIM_DEB"]).resolve())
    with Node.start(NodePlan(root(request.param), (Bind(package, PACKAGE),))) as node:
        yield node


def files(node: Node) -> set[str]:
    """All that is there, but for what the system itself changes."""
    skipped = [word for path in NOT_OF_IT for word in ("-path", path, "-prune", "-o")]
    return set(node.run(["find", "/", "-xdev", *skipped, "-print"]).stdout.splitlines())


def test_it_is_installed_runs_switches_the_node_over_and_leaves_nothing(node: Node) -> None:
    before = files(node)
    node.run(["dpkg", "--install", PACKAGE], timeout=300)
    assert node.run([COMMAND, "version"]).stdout.startswith(f"cri-shim {__version__} (CRI v1; Python 3.")
    assert "log_level" in node.run([COMMAND, "config", "default"]).stdout
    planned = node.run([COMMAND, "install"]).stdout
    assert "/etc/systemd/system/multi-user.target.wants/cri-shim.service" in planned
    assert "create /etc/systemd/system/cri-shim.service" not in planned, "the package's own unit does"
    node.run([COMMAND, "install", "--apply"])
    with node.popen([COMMAND, "serve", "--log-format", "json"], stderr=subprocess.PIPE) as serve:
        assert serve.stderr
        assert b"waiting for containerd" in serve.stderr.readline()
        serve.terminate()
        assert serve.wait(20) == 0
    node.run(["dpkg", "--purge", "cri-shim"], timeout=300)
    node.run(["sh", "-c", "rm -rf /run/cri-shim; rmdir /var/lib/containerd/* /var/lib/containerd 2>/dev/null || true"])
    assert files(node) - before == set()
    assert before - files(node) == set()
