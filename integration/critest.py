"""Runs critest, Kubernetes' conformance tests of the CRI, in a node whose registry holds stand-ins of its images.

    python -m integration.critest                             against cri-shim
    python -m integration.critest --endpoint containerd       against containerd's own CRI
    python -m integration.critest -- -ginkgo.focus=Idempotence  whatever follows goes to critest

The critest binary is $CRITEST, or the one on PATH.
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
_REPORTS: Final = "/var/log/critest"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns critest's exit status."""
    parser = argparse.ArgumentParser(prog="integration.critest", description="critest in a node of its own")
    parser.add_argument("--endpoint", choices=("shim", "containerd"), default="shim", help="default: %(default)s")
    parser.add_argument("--report", type=Path, metavar="DIR", help="where critest's JUnit report goes")
    parser.add_argument("critest", nargs="*", metavar="ARGUMENT", help="options of critest's own, after --")
    options = parser.parse_args(arguments)
    try:
        return run(options.endpoint, options.critest, options.report)
    except HarnessError as error:
        sys.stderr.write(f"critest: {error}\n")
        return 2


def run(endpoint: str, arguments: Sequence[str] = (), report: Path | None = None) -> int:
    """Run critest against `endpoint`; returns its exit status, its reports in the directory `report`."""
    original = find()
    ours = images.digests(images.layer())[f"{CRITEST_BY_DIGEST}:latest"]
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "critest"
        critest.retarget(original, copy, ours)
        binds = [Bind(str(copy), _INSIDE)]
        if report:
            report.mkdir(parents=True, exist_ok=True)
            binds.append(Bind(str(report.resolve()), _REPORTS, readonly=False))
        with running_node(shim=endpoint == "shim", peer=endpoint == "containerd", binds=binds) as running:
            process = running.node.popen(command(SOCKET if endpoint == "shim" else PEER.socket, arguments))
            return process.wait()


def find() -> Path:
    """The critest binary; raises `HarnessError` when there is none."""
    found = os.environ.get("CRITEST") or shutil.which("critest")
    if not found or not Path(found).is_file():
        raise HarnessError(
            "no critest here",
            remedy="build it from kubernetes-sigs/cri-tools (make critest), then: export CRITEST=FILE",
        )
    return Path(found)


def command(socket: str, arguments: Sequence[str] = ()) -> list[str]:
    """Critest's command line in the node."""
    return [
        _INSIDE,
        f"-runtime-endpoint=unix://{socket}",
        f"-image-endpoint=unix://{socket}",
        f"-test-images-file={images.OPTIONS}/test-images.yaml",
        f"-report-dir={_REPORTS}",
        "-ginkgo.no-color",
        *arguments,
    ]


if __name__ == "__main__":
    sys.exit(main())
