"""The one error of the harness: what the machine lacks or refuses, and the command that mends it."""

from __future__ import annotations


class HarnessError(Exception):
    """The node can't be made or used here; the text is for the person at the terminal."""

    def __init__(self, what: str, *, remedy: str = "") -> None:
        super().__init__(f"{what}\n  {remedy}" if remedy else what)
