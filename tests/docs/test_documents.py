"""The documents lead where they say, and the messages that they explain are those of the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "integration/README.md"])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
SOURCES = "\n".join(
    path.read_text()
    for path in sorted((ROOT / "cri_shim").rglob("*.py"))
    if "api" not in path.relative_to(ROOT).parts[:2]
)


def anchors(document: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_leads_somewhere(document):
    for link in LINK.findall(FENCE.sub("", document.read_text())):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_troubleshooting_explains_messages_that_there_are():
    text = (ROOT / "docs/troubleshooting.md").read_text()
    messages = re.findall(r"^### `(.*)`$", text, re.MULTILINE)
    assert len(messages) > 20
    joined = re.sub(r'"\s*\n?\s*f?"', "", SOURCES)  # a text that goes on in the next line
    assert [message for message in messages if message not in joined] == []
