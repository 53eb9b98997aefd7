"""What an endpoint has said, for a terminal: neither markup nor emoji nor escape sequences of its."""

from __future__ import annotations

from rich.text import Text


def plain(text: str) -> Text:
    """The text as it is, its control characters replaced."""
    return Text("".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text))
