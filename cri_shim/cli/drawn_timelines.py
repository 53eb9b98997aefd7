"""The timelines in verbose statuses, drawn for the terminal."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import click

from cri_shim.observe.timeline import Timeline
from cri_shim.observe.waterfall import render

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_WIDEST: Final = 110


def drawn(infos: Iterable[Mapping[str, str]], indent: int = 0) -> str:
    """All of them on one axis, to be set in by `indent` columns; an endpoint that records none has nothing to draw."""
    found = [Timeline.from_json(info["timeline"]) for info in infos if "timeline" in info]
    width = min(shutil.get_terminal_size().columns, _WIDEST) - indent
    return render(found, width, _paint) or "this endpoint records none\n"


def _paint(text: str, style: str) -> str:
    match style:
        case "bold":
            return click.style(text, bold=True)
        case "dim":
            return click.style(text, dim=True)
        case colour:
            return click.style(text, fg=colour)
