"""Runs critest, Kubernetes' conformance tests of the CRI, in a node whose registry holds stand-ins of its images.

    python -m integration.critest                              against cri-shim
    python -m integration.critest --endpoint containerd        against containerd's own CRI
    python -m integration.critest FILE -ginkgo.focus=Idempotence

FILE is the critest binary (default: $CRITEST, else the one on PATH). Options that are not ours go to critest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from integration.harness.assembly import running_node
from integration.harness.containerd import PEER
from integration.harness.errors import HarnessError
from integration.harness.node import Bind
from integration.harness.shim import SOCKET
from integration.images import build as images
from integration.images import critest
from integration.images.catalog import CRITEST_BY_DIGEST

if TYPE_CHECKING:
    from collections.abc import Sequence

_INSIDE: Final = "/usr/local/bin/critest"
_SUDO: Final = "/usr/local/bin/sudo"
_REPORTS: Final = "/var/log/critest"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns critest's exit status."""
    parser = argparse.ArgumentParser(
        prog="integration.critest", description="critest in a node of its own", allow_abbrev=False
    )
    parser.add_argument("binary", nargs="?", metavar="FILE", help="the critest binary (default: $CRITEST, or on PATH)")
    parser.add_argument("--endpoint", choices=("shim", "containerd"), default="shim", help="default: %(default)s")
    parser.add_argument("--report", type=Path, metavar="DIR", help="where critest's JUnit report goes")
    options, passed_on = parser.parse_known_args(arguments)
    try:
        binary = find(options.binary)
        return run(binary, options.endpoint, [word for word in passed_on if word != "--"], options.report)
    except HarnessError as error:
        sys.stderr.write(f"critest: {error}\n")
        return 2


def run(binary: Path, endpoint: str, arguments: Sequence[str] = (), report: Path | None = None) -> int:
    """Run critest against `endpoint`; returns its exit status, its JUnit report goes into the directory `report`."""
    ours = images.digests(images.layer())[f"{CRITEST_BY_DIGEST}:latest"]
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "critest"
        critest.retarget(binary, copy, ours)
        binds = [Bind(str(copy), _INSIDE)]
        if report:
            report.mkdir(parents=True, exist_ok=True)
            binds.append(Bind(str(report.resolve()), _REPORTS, readonly=False))
        with running_node(shim=endpoint == "shim", peer=endpoint == "containerd", binds=binds) as running:
            running.node.write(_SUDO, '#!/bin/sh\nexec "$@"\n', 0o755)  # it loads its profiles by sudo, and is root
            socket = SOCKET if endpoint == "shim" else PEER.socket
            return running.node.popen(command(socket, arguments)).wait()


def find(named: str | None = None) -> Path:
    """The critest binary, `named` or looked for; raises `HarnessError` when there is none."""
    found = named or os.environ.get("CRITEST") or shutil.which("critest")
    if not found or not Path(found).is_file():
        remedy = "build it from kubernetes-sigs/cri-tools (make critest), then: export CRITEST=FILE"
        raise HarnessError(f"no critest at {found}" if found else "no critest here", remedy=remedy)
    return Path(found)


def command(socket: str, arguments: Sequence[str] = ()) -> list[str]:
    """Critest's command line in the node."""
    return [
        _INSIDE,
        f"-runtime-endpoint=unix://{socket}",
        f"-image-endpoint=unix://{socket}",
        f"-test-images-file={images.OPTIONS}/test-images.yaml",
        f"-ginkgo.junit-report={_REPORTS}/junit.xml",
        "-ginkgo.no-color",
        *arguments,
    ]


if __name__ == "__main__":
    sys.exit(main())
