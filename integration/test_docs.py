"""The commands in docs/ that are marked to be run are run, in their order, in a node as an operator has one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from anyio import to_thread

from integration.harness.guardian import PROJECT

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet

pytestmark = [pytest.mark.anyio, pytest.mark.shim_only]

DOCUMENTS = sorted(path.name for path in (PROJECT / "docs").glob("*.md") if "<!-- run -->" in path.read_text())
BLOCK = re.compile(r"^( *)<!-- run -->\n\1```sh\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
COMMAND = "/usr/local/bin/cri-shim"


def commands(document: str) -> list[str]:
    """The marked blocks of a document."""
    text = (PROJECT / "docs" / document).read_text()
    blocks = [block.group(2) for block in BLOCK.finditer(text)]
    assert len(blocks) == text.count("<!-- run -->"), "a mark stands before no block"
    return blocks


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_what_a_document_says_can_be_done(running: RunningNode, kubelet: Kubelet, document: str) -> None:
    assert running.shim
    daemon = running.shim.daemon
    running.node.write(COMMAND, f'#!/bin/sh\nexec {" ".join(daemon.argv[:3])} "$@"\n', 0o755)
    await kubelet.run_pod()
    try:
        for block in commands(document):
            await to_thread.run_sync(
                lambda block=block: running.node.run(["sh", "-euxc", block], env=daemon.environment)  # type: ignore[misc]
            )
    finally:
        running.node.path("/usr/local/bin/cri-shim").unlink()
    await kubelet.run_pod()


def test_the_documents_have_commands() -> None:
    assert {"quick-start.md", "migration.md", "troubleshooting.md"} <= set(DOCUMENTS)
